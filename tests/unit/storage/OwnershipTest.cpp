// Tables belong to who made them.
#include "storage/Database.h"
#include "unit/common/Fixtures.h"

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <string>
#include <vector>

using namespace matrixos;
using namespace matrixos::storage;
using namespace matrixos::test;

namespace {

const Access kHooks{"hooks"};
const Access kEvil{"evil"};

/// A database in which hooks has hooks_sent with one row, and a view of it.
class Owned {
public:
  Owned() : db({.file = dir / "test.db"}) {
    db.expectOwners({{"hooks", {"hooks_*"}}, {"evil", {}}});
    db.migrate(kHooks, std::vector<Migration>{{1, "first",
                                               "CREATE TABLE hooks_sent (id INTEGER PRIMARY KEY AUTOINCREMENT, url "
                                               "TEXT UNIQUE, note TEXT);"
                                               "INSERT INTO hooks_sent VALUES (1, 'a', '');"
                                               "CREATE VIEW hooks_urls AS SELECT url FROM hooks_sent"}});
    exec(kEvil, {"CREATE TABLE evil_own (id INTEGER PRIMARY KEY, x)"});
  }

  void exec(const Access &access, std::vector<std::string> texts) {
    std::vector<Statement> batch;
    for (std::string &text : texts)
      batch.push_back({std::move(text), {}, kAnyRows});
    db.execBatch(std::span<const Statement>(batch), access);
  }
  int rows(const Access &access, const std::string &sql) const {
    int count = 0;
    db.query(
        sql, {},
        [&](const Row &) {
          ++count;
          return true;
        },
        access);
    return count;
  }
  Error refusal(const std::string &sql) {
    return errorOf([&] { exec(kEvil, {"INSERT INTO evil_own (x) VALUES (1)", sql}); });
  }

  TempDir dir;
  Database db;
};

/// The file as a daemon that knew no owners left it.
void forgetOwners(const std::filesystem::path &file) {
  sqlite3 *raw = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &raw) == SQLITE_OK);
  CHECK(sqlite3_exec(raw, "DROP TABLE matrixos_tables", nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(raw);
}

} // namespace

TEST_CASE_FIXTURE(Owned, "nobody reads, writes, drops, changes or watches the table of another") {
  for (const char *sql : {
           "INSERT INTO hooks_sent VALUES (2, 'b', '')",
           "UPDATE hooks_sent SET url = 'x'",
           "UPDATE evil_own SET x = (SELECT url FROM main.hooks_sent)",
           "DELETE FROM HOOKS_SENT",
           "REPLACE INTO \"Hooks_Sent\" VALUES (1, 'b', '')",
           "DROP TABLE hooks_sent",
           "DROP VIEW hooks_urls",
           "ALTER TABLE hooks_sent ADD COLUMN mine TEXT",
           "ALTER TABLE hooks_sent RENAME TO evil_sent",
           "ALTER TABLE hooks_sent DROP COLUMN note",
           "ALTER TABLE evil_own RENAME TO hooks_new",
           "CREATE TABLE hooks_new (x)",
           "CREATE TABLE IF NOT EXISTS hooks_sent (x)",
           "CREATE VIEW hooks_view AS SELECT 1",
           "CREATE INDEX evil_index ON hooks_sent (url)",
           "CREATE TRIGGER evil_trigger AFTER INSERT ON hooks_sent BEGIN DELETE FROM evil_own; END",
           "CREATE TRIGGER evil_trigger INSTEAD OF INSERT ON hooks_urls BEGIN DELETE FROM evil_own; END",
           "CREATE TABLE evil_copy AS SELECT * FROM hooks_sent",
           "CREATE TABLE evil_key (x REFERENCES hooks_sent (id))",
           "CREATE TABLE evil_key (x REFERENCES hooks_new (id))",
           "ALTER TABLE evil_own ADD COLUMN y REFERENCES hooks_sent (id)",
           "ANALYZE hooks_sent",
           "INSERT INTO evil_own (x) SELECT count(*) FROM hooks_sent",
           "WITH c AS (SELECT * FROM hooks_sent) DELETE FROM evil_own WHERE x IN (SELECT url FROM c)",
           "INSERT INTO schema_migrations VALUES ('evil', 1, '', '', '')",
           "UPDATE matrixos_tables SET owner = 'evil'",
           "CREATE TABLE matrixos_mine (x)",
           "DELETE FROM sqlite_sequence",
           "UPDATE sqlite_sequence SET seq = 9",
       }) {
    CAPTURE(std::string(sql));
    const Error error = refusal(sql);
    CAPTURE(std::string(error.what()));
    CHECK(error.status() == Status::PermissionDenied);
    CHECK(error.reason() == "TABLE_OWNED");
  }
  for (const char *sql : {"SELECT * FROM hooks_sent", "SELECT count(*) FROM hooks_sent", "SELECT * FROM hooks_urls",
                          "SELECT 1 WHERE EXISTS (SELECT 1 FROM hooks_sent)", "EXPLAIN SELECT url FROM hooks_sent",
                          "SELECT * FROM matrixos_tables", "SELECT * FROM schema_migrations",
                          "SELECT * FROM sqlite_sequence", "SELECT * FROM dbstat", "SELECT sql FROM sqlite_stmt"}) {
    CAPTURE(std::string(sql));
    CHECK(errorOf([&] { rows(kEvil, sql); }).reason() == "TABLE_OWNED");
  }
  CHECK(std::string(refusal("DROP TABLE hooks_sent").what()).find("the table hooks_sent belongs to hooks") !=
        std::string::npos);
  CHECK(rows(kHooks, "SELECT * FROM hooks_sent WHERE url = 'a'") == 1);
  CHECK(rows(kHooks, "SELECT * FROM hooks_urls") == 1);
  CHECK(rows(kEvil, "SELECT * FROM evil_own") == 0);
}

TEST_CASE_FIXTURE(Owned, "other ways into the database are shut") {
  for (const char *sql :
       {"ATTACH 'other.db' AS other", "PRAGMA writable_schema=1", "PRAGMA query_only=0", "PRAGMA foreign_keys=OFF",
        "CREATE TEMP TABLE t (x)", "CREATE TEMP VIEW v AS SELECT * FROM hooks_sent",
        "CREATE TEMP TRIGGER t AFTER INSERT ON hooks_sent BEGIN SELECT 1; END", "VACUUM",
        "VACUUM INTO '/tmp/stolen.db'", "CREATE VIRTUAL TABLE evil_words USING fts5 (x)",
        "SELECT load_extension('evil')", "REINDEX", "UPDATE sqlite_master SET sql = '' WHERE name = 'hooks_sent'",
        "DELETE FROM sqlite_schema", "SELECT * FROM pragma_database_list"}) {
    CAPTURE(std::string(sql));
    CHECK(refusal(sql).status() == Status::InvalidArgument);
    CHECK(statusOf([&] { rows(kEvil, sql); }) == Status::InvalidArgument);
  }
  CHECK(rows(kHooks, "SELECT * FROM hooks_sent") == 1);
}

TEST_CASE_FIXTURE(Owned, "views and triggers of one's own reach no further than oneself") {
  exec(kEvil, {"CREATE VIEW evil_peek AS SELECT * FROM hooks_sent"});
  CHECK(errorOf([&] { rows(kEvil, "SELECT * FROM evil_peek"); }).reason() == "TABLE_OWNED");
  exec(kEvil, {"CREATE TRIGGER evil_reach AFTER INSERT ON evil_own BEGIN DELETE FROM hooks_sent; END"});
  CHECK(refusal("INSERT INTO evil_own (x) VALUES (2)").reason() == "TABLE_OWNED");
  CHECK(rows(kHooks, "SELECT * FROM hooks_sent") == 1);
}

TEST_CASE_FIXTURE(Owned, "a statement that was prepared for one owner is not run for another") {
  const std::string read = "SELECT url FROM hooks_sent", write = "UPDATE hooks_sent SET url = 'mine'";
  for (int i = 0; i < 3; ++i) {
    CHECK(rows(kHooks, read) == 1);
    CHECK(errorOf([&] { rows(kEvil, read); }).reason() == "TABLE_OWNED");
    exec(kHooks, {write});
    CHECK(refusal(write).reason() == "TABLE_OWNED");
  }
  // Nor once the table is another's.
  exec(kHooks, {"DROP VIEW hooks_urls", "DROP TABLE hooks_sent"});
  db.expectOwners({{"hooks", {}}, {"evil", {"hooks_*", "evil_*"}}});
  exec(kEvil, {"CREATE TABLE hooks_sent (url)", "INSERT INTO hooks_sent VALUES ('b')"});
  CHECK(errorOf([&] { rows(kHooks, read); }).reason() == "TABLE_OWNED");
  CHECK(rows(kEvil, read) == 1);
}

TEST_CASE_FIXTURE(Owned, "of its own an owner may do what it likes") {
  exec(kEvil, {"CREATE TABLE IF NOT EXISTS evil_own (id)",
               "CREATE TABLE evil_more (id INTEGER PRIMARY KEY AUTOINCREMENT, own REFERENCES evil_own (id), y)",
               "INSERT INTO evil_more (y) VALUES (1), (2)", "CREATE INDEX evil_by_y ON evil_more (y)",
               "CREATE TRIGGER evil_t AFTER DELETE ON evil_more BEGIN INSERT INTO evil_own (x) VALUES (old.y); END",
               "DELETE FROM evil_more WHERE y = 1", "ALTER TABLE evil_more RENAME TO evil_most",
               "ALTER TABLE evil_most ADD COLUMN z DEFAULT 3", "CREATE TABLE evil_copy AS SELECT * FROM evil_most",
               "CREATE VIEW evil_view AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3) "
               "SELECT n FROM c, evil_copy",
               "ANALYZE evil_copy", "DROP INDEX evil_by_y", "DROP TRIGGER evil_t"});
  CHECK(rows(kEvil, "SELECT * FROM evil_view") == 3);
  CHECK(rows(kEvil, "WITH hooks AS (SELECT 1) SELECT count(*) FROM hooks") == 1);
  CHECK(rows(kEvil, "SELECT value FROM json_each('[1, 2]')") == 2);
  CHECK(rows(kEvil, "SELECT * FROM pragma_table_info('evil_own')") == 2);
  CHECK(rows(kEvil, "SELECT name FROM sqlite_master WHERE name = 'evil_most'") == 1);
  exec(kEvil, {"DROP VIEW evil_view", "DROP TABLE evil_most", "DROP TABLE evil_copy"});
  CHECK(rows(kEvil, "SELECT * FROM evil_own") == 1);
}

TEST_CASE_FIXTURE(Owned, "what a batch made is forgotten with it") {
  CHECK(errorOf([&] {
          exec(kEvil, {"CREATE TABLE evil_two (x)", "INSERT INTO evil_two VALUES (1)", "NONSENSE"});
        }).status() == Status::InvalidArgument);
  db.expectOwners({{"hooks", {"evil_two"}}});
  exec(kHooks, {"CREATE TABLE evil_two (x)", "INSERT INTO evil_two VALUES (2)"});
  CHECK(errorOf([&] { rows(kEvil, "SELECT x FROM evil_two"); }).reason() == "TABLE_OWNED");
}

TEST_CASE_FIXTURE(Owned, "who claims names uses no others, and who claims none has those that begin with its id") {
  db.expectOwners({{"hooks", {"hooks_*"}}, {"runtime", {}}, {"runtime-x", {}}, {"free", {}}});
  CHECK(errorOf([&] { exec(kHooks, {"CREATE TABLE other (x)"}); }).reason() == "TABLE_OWNED");
  exec({"runtime"}, {"CREATE TABLE runtime_state (x)"});
  CHECK(errorOf([&] { exec({"runtime"}, {"CREATE TABLE runtime_x_state (x)"}); }).reason() == "TABLE_OWNED");
  exec({"runtime-x"}, {"CREATE TABLE runtime_x_state (x)"});
  CHECK(errorOf([&] { exec({"free"}, {"CREATE TABLE runtime_x (x)"}); }).reason() == "TABLE_OWNED");
  exec({"free"}, {"CREATE TABLE words (x)"}); // nobody has it
  CHECK(errorOf([&] { exec({"runtime"}, {"CREATE TABLE Words (x)"}); }).reason() == "TABLE_OWNED");
}

TEST_CASE("tables stay whose they are, though the owner is not there") {
  const TempDir dir;
  {
    Database db({.file = dir / "test.db"});
    db.migrate("hooks", std::vector<Migration>{{1, "one", "CREATE TABLE subscriptions (x)"}});
  }
  Database db({.file = dir / "test.db"});
  db.expectOwners({{"evil", {}}, {"claimer", {"subs*"}}});
  db.admit("evil");
  CHECK(errorOf([&] { db.execBatch({{"DROP TABLE subscriptions"}}, kEvil); }).reason() == "TABLE_OWNED");
  const Error claimed = errorOf([&] { db.admit("claimer"); });
  CHECK(claimed.status() == Status::FailedPrecondition);
  CHECK(std::string(claimed.what()).find("subscriptions belongs to hooks") != std::string::npos);
}

TEST_CASE("tables from before are their makers', as the schema steps show") {
  const TempDir dir;
  const std::vector<Migration> one{{1, "one", "CREATE TABLE kept (x); CREATE TABLE gone (x)"},
                                   {2, "two", "ALTER TABLE kept RENAME TO words; DROP TABLE gone"}};
  {
    Database db({.file = dir / "test.db"});
    db.migrate("one", one);
    db.migrate("two", std::vector<Migration>{{1, "one", "CREATE TABLE letters (x)"}});
    db.execBatch({{"CREATE TABLE loose (x)"}, {"CREATE TABLE evil_kept (x)"}});
  }
  forgetOwners(dir / "test.db");
  Database db({.file = dir / "test.db"});
  db.expectOwners({{"one", {}}, {"two", {}}, {"evil", {}}});
  const auto use = [&](const char *owner, const char *table) {
    return statusOf([&] {
      db.execBatch({Statement{std::string("INSERT INTO ") + table + " VALUES (1)", {}, 1}}, Access{owner});
    });
  };
  // Nobody takes what a maker of schema steps has yet to speak for, but what bears one's id.
  CHECK(use("evil", "words") == Status::PermissionDenied);
  CHECK(use("evil", "loose") == Status::PermissionDenied);
  CHECK(use("evil", "evil_kept") == Status::Ok);
  db.migrate("one", one);
  CHECK(use("one", "words") == Status::Ok);
  CHECK(use("evil", "words") == Status::PermissionDenied);
  CHECK(use("evil", "letters") == Status::PermissionDenied);
  db.migrate("two", std::vector<Migration>{{1, "one", "CREATE TABLE letters (x)"}});
  CHECK(use("two", "letters") == Status::Ok);
  // What none of them made is whose it is that uses it.
  CHECK(use("evil", "loose") == Status::Ok);
  CHECK(use("two", "loose") == Status::PermissionDenied);
}

TEST_CASE("tables that a foreign key tied together before go on working") {
  const TempDir dir;
  {
    Database db({.file = dir / "test.db"});
    db.execBatch({{"CREATE TABLE one_parent (id INTEGER PRIMARY KEY)"},
                  {"CREATE TABLE two_child (x REFERENCES one_parent (id) ON DELETE CASCADE)"},
                  {"INSERT INTO one_parent VALUES (1), (2)"}});
  }
  Database db({.file = dir / "test.db"});
  db.expectOwners({{"one", {}}, {"two", {}}});
  db.admit("one");
  db.admit("two");
  db.execBatch({{"INSERT INTO two_child VALUES (1), (2)"}}, {"two"});
  db.execBatch({{"DELETE FROM one_parent WHERE id = 1", {}, 1}}, {"one"});
  CHECK(db.queryInt("SELECT count(*) FROM two_child") == 1);
  CHECK(statusOf([&] { db.execBatch({{"DELETE FROM two_child"}}, {"three"}); }) == Status::PermissionDenied);
}
