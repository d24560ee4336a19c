#include "SessionTable.h"

#include <algorithm>
#include <utility>

namespace matrixos::identity {

namespace {

/// Hosts that one session has cookies of; one more, and all of them are given anew when they are asked for.
constexpr std::size_t kMostGrants = 256;

} // namespace

SessionTable::SessionTable(std::size_t mostSessions) {
  sessions_.reserve(mostSessions);
  grants_.reserve(mostSessions);
}

SessionView SessionTable::viewOf(const DigestKey &key, const Session &session) {
  Digest digest;
  std::copy(key.bytes.begin(), key.bytes.end(), digest.bytes.begin());
  std::copy(session.tail.begin(), session.tail.end(), digest.bytes.begin() + key.bytes.size());
  return {digest, session.user, session.createdAt, session.expiresAt, session.usedAt.load(std::memory_order_relaxed)};
}

bool SessionTable::isGood(const SessionView &session, std::int64_t now) const noexcept {
  return isGood(session.expiresAt, session.usedAt, now);
}

std::optional<SessionView> SessionTable::find(std::string_view cookie, std::int64_t now) const {
  return isId(cookie) ? find(Digest::of(cookie), now) : std::nullopt;
}

std::optional<SessionView> SessionTable::find(const Digest &digest, std::int64_t now) const {
  const ReaderLocks::Reading reading(locks_);
  const auto found = sessions_.find(digest);
  if (found == sessions_.end() || !isGood(found->second, now)) return std::nullopt;
  touch(found->second, now);
  return viewOf(found->first, found->second);
}

std::vector<SessionView> SessionTable::ofUser(std::string_view userId) const {
  std::vector<SessionView> out;
  const ReaderLocks::Scanning scanning(locks_);
  for (const auto &[key, session] : sessions_)
    if (session.user->id() == userId) out.push_back(viewOf(key, session));
  return out;
}

std::vector<SessionView> SessionTable::all() const {
  std::vector<SessionView> out;
  const ReaderLocks::Scanning scanning(locks_);
  out.reserve(sessions_.size());
  for (const auto &[key, session] : sessions_)
    out.push_back(viewOf(key, session));
  return out;
}

std::size_t SessionTable::size() const {
  const ReaderLocks::Scanning scanning(locks_);
  return sessions_.size();
}

void SessionTable::add(const SessionView &view) {
  const ReaderLocks::Writing writing(locks_);
  const auto at = sessions_.try_emplace(view.digest).first;
  Session &session = at->second;
  session.user = view.user;
  std::copy_n(view.digest.bytes.begin() + at->first.bytes.size(), session.tail.size(), session.tail.begin());
  session.createdAt = view.createdAt;
  session.expiresAt = view.expiresAt;
  session.usedAt.store(view.usedAt, std::memory_order_relaxed);
}

bool SessionTable::grant(const Digest &digest, const Digest &cookie, std::string_view handle) {
  const ReaderLocks::Writing writing(locks_);
  const auto session = sessions_.find(digest);
  if (session == sessions_.end()) return false;
  std::vector<DigestKey> &grants = session->second.grants;
  if (grants.size() >= kMostGrants) {
    for (const DigestKey &key : grants)
      grants_.erase(key);
    grants.clear();
  }
  grants.emplace_back(cookie);
  grants_.insert_or_assign(cookie, Grant{digest, std::string(handle)});
  return true;
}

bool SessionTable::remove(const Digest &digest) {
  const ReaderLocks::Writing writing(locks_);
  const auto session = sessions_.find(digest);
  if (session == sessions_.end()) return false;
  for (const DigestKey &key : session->second.grants)
    grants_.erase(key);
  sessions_.erase(session);
  return true;
}

void SessionTable::replaceUser(const Digest &digest, std::shared_ptr<const User> user) {
  const ReaderLocks::Writing writing(locks_);
  const auto session = sessions_.find(digest);
  if (session != sessions_.end()) session->second.user.swap(user);
}

} // namespace matrixos::identity
