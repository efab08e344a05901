// A webhook receiver on Express: Zoom's signature over the raw bytes, then, where there is a database, one durable row
// for each delivery, in a commit of its own.

"use strict";

const crypto = require("crypto");
const express = require("express");
const database = require("./database");

const SECRET = process.env.PEER_SECRET;
const MAX_AGE_SECONDS = 300;
const POOL_SIZE = 16;
const TABLE = "create table deliveries (key varchar(64) primary key, body text not null, headers text not null)";
const INSERT = "insert into deliveries (key, body, headers) values ($1, $2, $3) on conflict (key) do nothing";

function isGenuine(request) {
  const sentAt = request.get("x-zm-request-timestamp") || "";
  const given = Buffer.from(request.get("x-zm-signature") || "");
  const digest = crypto.createHmac("sha256", SECRET).update(`v0:${sentAt}:`).update(request.body).digest("hex");
  const expected = Buffer.from(`v0=${digest}`);
  const isFresh = Math.abs(Date.now() / 1000 - Number(sentAt)) < MAX_AGE_SECONDS;
  return isFresh && given.length === expected.length && crypto.timingSafeEqual(given, expected);
}

// A function that keeps one row, or does nothing.
async function open() {
  if (database.isPostgres) {
    const { Pool } = require("pg");
    const pool = new Pool({ max: POOL_SIZE });
    await pool.query(TABLE);
    return (row) => pool.query({ name: "insert", text: INSERT, values: row });
  }
  if (!database.file) return async () => {};
  const sqlite = await database.openSqlite();
  await new Promise((resolve, reject) => sqlite.exec(TABLE, (error) => (error ? reject(error) : resolve())));
  const statement = sqlite.prepare(INSERT);
  return (row) =>
    new Promise((resolve, reject) => statement.run(row, (error) => (error ? reject(error) : resolve())));
}

async function main() {
  const keep = await open();
  const app = express();
  app.post("/zoom/webhook", express.raw({ type: "*/*", limit: "1mb" }), async (request, response) => {
    if (!isGenuine(request)) return response.sendStatus(401);
    try {
      JSON.parse(request.body);
      const key = crypto.createHash("sha256").update(request.body).digest("hex");
      await keep([key, request.body.toString(), JSON.stringify(request.headers)]);
      return response.sendStatus(204);
    } catch (error) {
      console.error(error.code || error.name);
      return response.sendStatus(500);
    }
  });
  app.listen(Number(process.env.PEER_PORT), "127.0.0.1");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
