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

SessionTable::Session::Session(const SessionView &view, const Session *signIn)
    : user(*view.user), createdAt(view.createdAt), expiresAt(view.expiresAt), usedAt(view.usedAt), grants(nullptr),
      isProgram(signIn != nullptr) {
  if (isProgram) by = signIn;
  std::copy(view.digest.bytes.end() - tail.size(), view.digest.bytes.end(), tail.begin());
}

Digest SessionTable::digestOf(const DigestKey &key, const Session &session) noexcept {
  Digest digest;
  std::copy(key.bytes.begin(), key.bytes.end(), digest.bytes.begin());
  std::copy(session.tail.begin(), session.tail.end(), digest.bytes.begin() + key.bytes.size());
  return digest;
}

SessionView SessionTable::viewOf(const DigestKey &key, const Session &session) {
  return {digestOf(key, session), std::make_shared<const User>(session.user), session.createdAt, session.expiresAt,
          session.usedAt.load(std::memory_order_relaxed)};
}

bool SessionTable::isGood(const SessionView &session, std::int64_t now) const {
  const ReaderLocks::Reading reading(locks_);
  const auto found = sessions_.find(session.digest);
  return found != sessions_.end() && isGood(found->second, now);
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
    if (session.user.id() == userId) out.push_back(viewOf(key, session));
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
  sessions_.try_emplace(view.digest, view);
}

bool SessionTable::addProgram(const SessionView &view, const Digest &by) {
  const ReaderLocks::Writing writing(locks_);
  const auto signIn = sessions_.find(by);
  if (signIn == sessions_.end() || signIn->second.isProgram) return false;
  if (sessions_.try_emplace(view.digest, view, &signIn->second).second) programs_.emplace(&signIn->second, view.digest);
  return true;
}

bool SessionTable::grant(const Digest &digest, const Digest &cookie, std::string_view handle) {
  const ReaderLocks::Writing writing(locks_);
  const auto found = sessions_.find(digest);
  if (found == sessions_.end() || found->second.isProgram) return false;
  Session &session = found->second;
  if (session.grantsCount >= kMostGrants) endGrants(session);
  const auto [grant, isNew] = grants_.try_emplace(cookie, Grant{&session, session.grants, std::string(handle)});
  if (!isNew) return false;
  session.grants = &*grant;
  ++session.grantsCount;
  return true;
}

/// Under the lock of writers.
void SessionTable::endGrants(Session &session) {
  while (session.grants != nullptr) {
    const DigestKey key = session.grants->first;
    session.grants = session.grants->second.next;
    grants_.erase(key);
  }
  session.grantsCount = 0;
}

/// Under the lock of writers.
void SessionTable::endPrograms(const Session &session) {
  const auto [first, last] = programs_.equal_range(&session);
  for (auto program = first; program != last; ++program)
    sessions_.erase(program->second);
  programs_.erase(first, last);
}

/// Under the lock of writers.
void SessionTable::forgetProgram(const DigestKey &key, const Session &program) {
  const auto [first, last] = programs_.equal_range(program.by);
  const auto own = std::find_if(first, last, [&](const auto &one) { return one.second == key; });
  if (own != last) programs_.erase(own);
}

bool SessionTable::remove(const Digest &digest) {
  const ReaderLocks::Writing writing(locks_);
  const auto found = sessions_.find(digest);
  if (found == sessions_.end()) return false;
  if (found->second.isProgram) {
    forgetProgram(found->first, found->second);
  } else {
    endGrants(found->second);
    endPrograms(found->second);
  }
  sessions_.erase(found);
  return true;
}

void SessionTable::replaceUser(const Digest &digest, User user) {
  const ReaderLocks::Writing writing(locks_);
  const auto session = sessions_.find(digest);
  if (session != sessions_.end()) session->second.user = std::move(user);
}

} // namespace matrixos::identity
