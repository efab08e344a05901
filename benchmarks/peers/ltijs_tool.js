// ltijs on Express with its SQL store (ltijs-sequelize). The platform's key is given, so that no key set is fetched.
// The answer to a launch is a redirect to the tool's page, as with the other peers.

"use strict";

const fs = require("fs");
const lti = require("ltijs").Provider;
const Database = require("ltijs-sequelize");
const database = require("./database");

const POOL_SIZE = 16;

async function main() {
  const given = JSON.parse(fs.readFileSync(process.env.PEER_CONFIG, "utf8"));
  const { PGDATABASE, PGUSER, PGHOST } = process.env;
  const options = database.isPostgres
    ? { dialect: "postgres", host: PGHOST, pool: { max: POOL_SIZE }, logging: false }
    : { dialect: "sqlite", storage: database.file, logging: false };
  if (!database.isPostgres) (await database.openSqlite()).close();
  const plugin = new Database(PGDATABASE || "", PGUSER || "", "", options);
  lti.setup("the secret key of the measurements, long enough", { plugin }, {
    appRoute: "/lti/launch",
    loginRoute: "/lti/login",
    // Tokens are signed before the clock of their round starts.
    tokenMaxAge: false,
  });
  lti.onConnect((_token, _request, response) => response.sendStatus(200));
  await lti.deploy({ serverless: true, silent: true });
  await lti.registerPlatform({
    url: given.issuer,
    name: "bench",
    clientId: given.client.client_id,
    authenticationEndpoint: given.client.auth_login_url,
    accesstokenEndpoint: given.client.auth_token_url,
    authConfig: { method: "RSA_KEY", key: given.platform_key },
  });
  lti.app.listen(Number(process.env.PEER_PORT), "127.0.0.1");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
