#include "Sessions.h"

#include "Hosts.h"

#include <matrixos/status.hpp>

#include <http/codec/Bearer.h>

#include <algorithm>
#include <utility>

namespace matrixos::identity {

namespace {

constexpr std::int64_t kWriteUsesEveryMs = 60'000;
constexpr std::size_t kBatch = 500;
/// Cookies of instances' hosts that outlive a restart; who lacks one gets another.
constexpr std::size_t kMostLoaded = 4 * Sessions::kMost;

/// Calls write(begin, end) for pieces of a list that one transaction holds.
template <typename List, typename Write>
void inBatches(const List &list, Write &&write) {
  for (std::size_t at = 0; at < list.size(); at += kBatch)
    write(at, std::min(at + kBatch, list.size()));
}

} // namespace

Sessions::Sessions(const Sql &sql, std::function<std::int64_t()> now)
    : sql_(sql), now_(std::move(now)), table_(kMost) {}

void Sessions::load(Settings settings) {
  settings_ = std::move(settings);
  table_.setIdleTtl(settings_.idleTtlMs);
  sql_.execBatch({{"DELETE FROM identity_sessions WHERE expires_at <= ?", {now()}}});
  sql_.query(
      "SELECT hash, user_id, email, email_verified, name, operator_by, created_at, expires_at, used_at, let_in_by "
      "FROM (SELECT * FROM identity_sessions ORDER BY created_at DESC LIMIT ?) ORDER BY let_in_by IS NOT NULL",
      {static_cast<std::int64_t>(kMost)}, [&](const SqlRow &row) {
        const bool byProgram = !row.isNull(9);
        const User user(row.text(1), row.text(2), row.integer(3) != 0, row.text(4), row.text(5), byProgram);
        const SessionView session{Digest::fromHex(row.text(0)), std::make_shared<const User>(judged(user)),
                                  row.integer(6), row.integer(7), row.integer(8)};
        if (byProgram)
          table_.addProgram(session, Digest::fromHex(row.text(9)));
        else
          table_.add(session);
      });
  // The last ones of all, in their order: of one session's the table keeps those that come last.
  sql_.query(
      "SELECT session, hash, handle FROM (SELECT rowid AS at, session, hash, handle FROM identity_grants ORDER BY "
      "at DESC LIMIT ?) ORDER BY at",
      {static_cast<std::int64_t>(kMostLoaded)}, [&](const SqlRow &row) {
        table_.grant(Digest::fromHex(row.text(0)), Digest::fromHex(row.text(1)), row.text(2));
      });
}

/// The same user, an operator only as far as the item still stands.
User Sessions::judged(const User &user) const {
  const bool counts = settings_.operators.has(user.operatorBy());
  return {
      user.id(),       user.email(), user.emailVerified(), user.name(), counts ? user.operatorBy() : std::string_view(),
      user.byProgram()};
}

void Sessions::configure(Settings settings) {
  const std::lock_guard lock(settingsMutex_);
  settings_ = std::move(settings);
  table_.setIdleTtl(settings_.idleTtlMs);
  for (const SessionView &session : table_.all()) {
    if (session.user->operatorBy().empty() || settings_.operators.has(session.user->operatorBy())) continue;
    table_.replaceUser(session.digest, judged(*session.user));
  }
}

void Sessions::makeRoom(std::string_view userId, const Digest &kept) {
  std::vector<SessionView> own = table_.ofUser(userId);
  std::sort(own.begin(), own.end(), [&](const auto &a, const auto &b) {
    if ((a.digest == kept) != (b.digest == kept)) return a.digest == kept;
    return a.createdAt > b.createdAt;
  });
  while (own.size() >= kMostOfUser) {
    end(own.back().digest);
    own.pop_back();
  }
  if (table_.size() >= kMost)
    throw Error(Status::ResourceExhausted, "too many people are signed in; try again later", "TOO_MANY_SESSIONS");
}

std::optional<SessionView> Sessions::ofCookies(std::string_view cookies, bool plain) const {
  std::optional<SessionView> session;
  anyCookie(cookies, http::nameOf(CookieKind::Session, plain), [&](std::string_view cookie) {
    session = table_.find(cookie, now());
    return session.has_value();
  });
  return session;
}

std::optional<SessionView> Sessions::ofToken(std::string_view authorization) const {
  const std::string_view token = http::userToken(authorization);
  return token.empty() ? std::nullopt : table_.find(Digest::of(token), now());
}

std::string Sessions::begin(const ProviderUser &from) {
  makeRoom(from.id);
  std::string cookie = makeId();
  SessionView session{Digest::of(cookie), nullptr, now(), 0, now()};
  {
    const std::lock_guard lock(settingsMutex_);
    session.user = std::make_shared<const User>(from.id, from.email, from.emailVerified, from.name,
                                                settings_.operators.itemFor(from));
    session.expiresAt = session.createdAt + settings_.ttlMs;
  }
  keep(std::move(session));
  return cookie;
}

std::string Sessions::beginProgram(const Digest &by) {
  const auto signIn = table_.find(by, now());
  if (!signIn) return {};
  makeRoom(signIn->user->id(), by);
  std::string token = std::string(http::kUserTokenPrefix) + makeId();
  const User &user = *signIn->user;
  auto program =
      std::make_shared<const User>(user.id(), user.email(), user.emailVerified(), user.name(), user.operatorBy(), true);
  const bool kept = keep({Digest::of(token), std::move(program), now(), signIn->expiresAt, now()}, &by);
  return kept ? token : std::string();
}

bool Sessions::keep(SessionView session, const Digest *by) {
  const User &user = *session.user;
  const std::string hash = session.digest.hex(), signIn = by == nullptr ? std::string() : by->hex();
  // What ends the sign-in takes the program's row along, if that is there already.
  sql_.execBatch(
      {{"INSERT INTO identity_sessions (hash, user_id, email, email_verified, name, operator_by, "
        "created_at, expires_at, used_at, let_in_by) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULLIF(?10, '') "
        "WHERE ?10 = '' OR EXISTS (SELECT 1 FROM identity_sessions WHERE hash = ?10)",
        {hash, user.id(), user.email(), user.emailVerified() ? 1 : 0, user.name(), user.operatorBy(), session.createdAt,
         session.expiresAt, session.usedAt, signIn}}});
  // Who is an operator may have changed meanwhile.
  const std::lock_guard lock(settingsMutex_);
  session.user = std::make_shared<const User>(judged(user));
  if (by != nullptr) return table_.addProgram(session, *by);
  table_.add(session);
  return true;
}

bool Sessions::end(const Digest &session) {
  // In memory first: it is over even where the database cannot say so now.
  if (!table_.remove(session)) return false;
  sql_.execBatch({{"DELETE FROM identity_sessions WHERE hash = ?", {session.hex()}}});
  return true;
}

std::size_t Sessions::endAll(std::string_view userId) {
  const std::vector<SessionView> own = table_.ofUser(userId);
  for (const SessionView &session : own)
    table_.remove(session.digest);
  sql_.execBatch({{"DELETE FROM identity_sessions WHERE user_id = ?", {userId}}});
  return own.size();
}

std::string Sessions::grant(const Digest &session, std::string_view handle) {
  std::string cookie = makeId();
  if (!table_.grant(session, Digest::of(cookie), handle)) return {};
  const std::lock_guard lock(pendingMutex_);
  pending_.push_back({session.hex(), Digest::of(cookie).hex(), std::string(handle)});
  return cookie;
}

void Sessions::flush() {
  writeGrants();
  if (now() < usesWrittenAt_ + kWriteUsesEveryMs) return;
  usesWrittenAt_ = now();
  writeUses();
}

void Sessions::writeGrants() {
  std::vector<PendingGrant> grants;
  {
    const std::lock_guard lock(pendingMutex_);
    grants.swap(pending_);
  }
  inBatches(grants, [&](std::size_t first, std::size_t last) {
    std::vector<SqlStatement> batch;
    for (std::size_t i = first; i < last; ++i) {
      // Its session may have ended meanwhile.
      batch.push_back({"INSERT OR REPLACE INTO identity_grants (hash, session, handle) SELECT ?, hash, ? FROM "
                       "identity_sessions WHERE hash = ?",
                       {grants[i].cookie, grants[i].handle, grants[i].session}});
    }
    sql_.execBatch(batch);
  });
}

void Sessions::writeUses() {
  std::vector<Digest> over;
  std::vector<std::pair<std::string, std::int64_t>> uses;
  const std::int64_t at = now();
  table_.eachUse(at, [&](const Digest &session, bool good, std::int64_t usedAt) {
    if (!good)
      over.push_back(session);
    else if (usedAt + 2 * kWriteUsesEveryMs > at)
      uses.emplace_back(session.hex(), usedAt);
  });
  forget(over);
  inBatches(uses, [&](std::size_t first, std::size_t last) {
    std::vector<SqlStatement> batch;
    for (std::size_t i = first; i < last; ++i)
      batch.push_back({"UPDATE identity_sessions SET used_at = ? WHERE hash = ?", {uses[i].second, uses[i].first}});
    sql_.execBatch(batch);
  });
}

void Sessions::forget(const std::vector<Digest> &sessions) {
  std::vector<std::string> names;
  for (const Digest &session : sessions) {
    table_.remove(session);
    names.push_back(session.hex());
  }
  inBatches(names, [&](std::size_t first, std::size_t last) {
    std::vector<SqlStatement> batch;
    for (std::size_t i = first; i < last; ++i)
      batch.push_back({"DELETE FROM identity_sessions WHERE hash = ?", {names[i]}});
    sql_.execBatch(batch);
  });
}

} // namespace matrixos::identity
