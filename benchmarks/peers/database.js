// The database that the environment names: a PostgreSQL by libpq's variables, or a file of SQLite. None if it names none.

"use strict";

exports.isPostgres = Boolean(process.env.PGDATABASE);
exports.file = process.env.SQLITE_FILE;

// SQLite with a write-ahead log, which stays set in the file. Every commit is synchronised, the default of the driver.
exports.openSqlite = () =>
  new Promise((resolve, reject) => {
    const sqlite3 = require("sqlite3");
    const database = new sqlite3.Database(exports.file);
    database.exec("pragma journal_mode = wal", (error) => (error ? reject(error) : resolve(database)));
  });
