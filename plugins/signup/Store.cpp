#include "Store.h"

#include <matrixos/json_text.hpp>
#include <matrixos/text/time.hpp>

#include <array>
#include <utility>

namespace matrixos::signup {

namespace {

constexpr std::array<std::string_view, kStates> kWords{"waiting", "provisioning", "done",
                                                       "failed",  "deleting",     "deleted"};

constexpr char kTables[] = R"sql(
CREATE TABLE signup_users (
  user_id TEXT PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  email TEXT NOT NULL,
  username TEXT NOT NULL,
  handle TEXT NOT NULL DEFAULT '',
  wanted_handle TEXT NOT NULL,
  state TEXT NOT NULL,
  candidate INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  last_error TEXT NOT NULL DEFAULT '',
  next_try_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX signup_users_due ON signup_users (state, next_try_at);
CREATE UNIQUE INDEX signup_users_handle ON signup_users (handle) WHERE state = 'provisioning';
CREATE TABLE signup_inbox (
  source TEXT NOT NULL,
  delivery TEXT NOT NULL,
  type TEXT NOT NULL,
  user_id TEXT NOT NULL,
  received_at INTEGER NOT NULL,
  PRIMARY KEY (source, delivery)
) WITHOUT ROWID;
)sql";

#define SIGNUP_COLUMNS                                                                                                 \
  "id, user_id, email, username, handle, wanted_handle, state, candidate, attempts, last_error, next_try_at, "         \
  "received_at"

Signup read(const SqlRow &row) {
  Signup signup;
  signup.id = row.text(0);
  signup.person = {row.text(1), row.text(2), row.text(3)};
  signup.handle = row.text(4);
  signup.wantedHandle = row.text(5);
  signup.state = stateOf(row.text(6)).value_or(State::Failed);
  signup.candidate = static_cast<int>(row.integer(7));
  signup.attempts = static_cast<int>(row.integer(8));
  signup.lastError = row.text(9);
  signup.nextTryAt = row.integer(10);
  signup.receivedAt = row.integer(11);
  return signup;
}

} // namespace

std::string_view wordOf(State state) noexcept {
  return kWords[static_cast<std::size_t>(state)];
}

std::optional<State> stateOf(std::string_view word) noexcept {
  for (std::size_t i = 0; i < kWords.size(); ++i)
    if (kWords[i] == word) return static_cast<State>(i);
  return std::nullopt;
}

std::string Signup::json() const {
  JsonObject out;
  out.add("id", id).add("userId", person.userId).add("email", person.email).add("handle", handle);
  out.add("wantedHandle", wantedHandle).add("state", wordOf(state)).add("attempts", attempts);
  out.add("lastError", lastError);
  if (nextTryAt != 0)
    out.add("nextTryAt", formatTime(nextTryAt));
  else
    out.addRaw("nextTryAt", "null");
  return std::move(out.add("receivedAt", formatTime(receivedAt))).str();
}

void Store::migrate() const {
  db_.migrate({{1, "signups", kTables}});
}

Effect Store::run(const Delivery *delivery, std::string_view userId, std::int64_t nowMs, SqlStatement effect) const {
  std::vector<SqlStatement> batch;
  if (delivery != nullptr) {
    batch.push_back({"INSERT INTO signup_inbox (source, delivery, type, user_id, received_at) VALUES (?, ?, ?, ?, ?)",
                     {delivery->source, delivery->id, delivery->type, userId, nowMs}});
  }
  if (!effect.sql.empty()) batch.push_back(std::move(effect));
  try {
    const auto changed = db_.execBatch(batch);
    return changed.back() == 0 ? Effect::Ignored : Effect::Applied;
  } catch (const Error &error) {
    // Nothing else in a batch can be there already: the effects deal with users who are.
    if (error.status() == Status::AlreadyExists && delivery != nullptr) return Effect::Repeated;
    throw;
  }
}

Effect Store::upsert(const Delivery *delivery, const Signup &signup, std::int64_t updatedAt) const {
  return run(delivery, signup.person.userId, signup.receivedAt,
             {"INSERT INTO signup_users (user_id, id, email, username, wanted_handle, state, next_try_at, received_at, "
              "updated_at) VALUES (?1, ?2, ?3, ?4, ?5, 'waiting', ?6, ?6, ?7) ON CONFLICT (user_id) DO UPDATE SET "
              "email = excluded.email, username = excluded.username, updated_at = excluded.updated_at, "
              "wanted_handle = CASE WHEN handle = '' THEN excluded.wanted_handle ELSE wanted_handle END "
              "WHERE ?8 AND state NOT IN ('deleting', 'deleted') AND excluded.updated_at >= updated_at",
              {signup.person.userId, signup.id, signup.person.email, signup.person.username, signup.wantedHandle,
               signup.receivedAt, updatedAt, delivery != nullptr ? 1 : 0}});
}

Effect Store::bury(const Delivery &delivery, const Signup &signup, std::int64_t dueAt) const {
  return run(&delivery, signup.person.userId, signup.receivedAt,
             {"INSERT INTO signup_users (user_id, id, email, username, wanted_handle, state, next_try_at, received_at, "
              "updated_at) VALUES (?, ?, '', '', '', 'deleting', ?, ?, 0) ON CONFLICT (user_id) DO UPDATE SET "
              "state = 'deleting', next_try_at = excluded.next_try_at, attempts = 0, last_error = '' "
              "WHERE state NOT IN ('deleting', 'deleted')",
              {signup.person.userId, signup.id, dueAt, signup.receivedAt}});
}

Effect Store::record(const Delivery &delivery, std::string_view userId, std::int64_t nowMs) const {
  return run(&delivery, userId, nowMs, {}) == Effect::Repeated ? Effect::Repeated : Effect::Ignored;
}

std::optional<Signup> Store::find(std::string_view id) const {
  std::optional<Signup> found;
  db_.query("SELECT " SIGNUP_COLUMNS " FROM signup_users WHERE id = ?1 OR user_id = ?1 LIMIT 1", {id},
            [&](const SqlRow &row) { found = read(row); });
  return found;
}

void Store::list(std::optional<State> state, std::string_view before, std::int64_t limit,
                 const std::function<void(Signup)> &each) const {
  const std::string_view word = state ? wordOf(*state) : "";
  db_.query("SELECT " SIGNUP_COLUMNS " FROM signup_users WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR id < ?2) "
            "ORDER BY id DESC LIMIT ?3",
            {word, before, limit}, [&](const SqlRow &row) { each(read(row)); });
}

void Store::each(State state, const std::function<void(Signup)> &each) const {
  db_.query("SELECT " SIGNUP_COLUMNS " FROM signup_users WHERE state = ? ORDER BY id", {wordOf(state)},
            [&](const SqlRow &row) { each(read(row)); });
}

std::vector<Signup> Store::dueProvisions(std::int64_t nowMs, std::int64_t latest, std::int64_t limit) const {
  std::vector<Signup> due;
  db_.query("SELECT " SIGNUP_COLUMNS " FROM signup_users WHERE state IN ('waiting', 'failed') AND next_try_at <> 0 AND "
            "(next_try_at <= ? OR next_try_at > ?) ORDER BY received_at, id LIMIT ?",
            {nowMs, latest, limit}, [&](const SqlRow &row) { due.push_back(read(row)); });
  return due;
}

std::vector<Signup> Store::dueDeletions(std::int64_t nowMs, std::int64_t limit) const {
  std::vector<Signup> due;
  db_.query("SELECT " SIGNUP_COLUMNS " FROM signup_users WHERE state = 'deleting' AND next_try_at <= ? "
            "ORDER BY next_try_at LIMIT ?",
            {nowMs, limit}, [&](const SqlRow &row) { due.push_back(read(row)); });
  return due;
}

std::vector<std::int64_t> Store::counts() const {
  std::vector<std::int64_t> counts(kStates);
  db_.query("SELECT state, count(*) FROM signup_users GROUP BY state", {}, [&](const SqlRow &row) {
    if (const auto state = stateOf(row.text(0))) counts[static_cast<std::size_t>(*state)] = row.integer(1);
  });
  return counts;
}

void Store::resume(std::int64_t nowMs) const {
  db_.execBatch({{"UPDATE signup_users SET state = 'waiting', next_try_at = ? WHERE state = 'provisioning'", {nowMs}}});
}

bool Store::begin(const Signup &signup) const {
  return db_.execBatch({{"UPDATE signup_users SET state = 'provisioning', handle = ?, candidate = ?, next_try_at = 0 "
                         "WHERE user_id = ? AND state IN ('waiting', 'failed')",
                         {signup.handle, signup.candidate, signup.person.userId}}})
             .front() == 1;
}

bool Store::update(const Signup &signup, State from) const {
  // Who has gone is nobody's business any more: of a tombstone the address goes with the instance.
  return db_.execBatch({{"UPDATE signup_users SET handle = ?1, candidate = ?2, state = ?3, attempts = ?4, "
                         "last_error = ?5, next_try_at = ?6, email = CASE ?3 WHEN 'deleted' THEN '' ELSE email END, "
                         "username = CASE ?3 WHEN 'deleted' THEN '' ELSE username END "
                         "WHERE user_id = ?7 AND state = ?8",
                         {signup.handle, signup.candidate, wordOf(signup.state), signup.attempts, signup.lastError,
                          signup.nextTryAt, signup.person.userId, wordOf(from)}}})
             .front() == 1;
}

void Store::tellWaiting(const std::string &why) const {
  db_.execBatch({{"UPDATE signup_users SET last_error = ?1 WHERE state = 'waiting' AND last_error <> ?1", {why}}});
}

} // namespace matrixos::signup
