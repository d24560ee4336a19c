#pragma once

#include "Ids.h"
#include "ReaderLocks.h"
#include "User.h"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace matrixos::identity {

/// A session as it is looked at. Times are ms since the epoch.
struct SessionView {
  Digest digest; ///< of its cookie
  std::shared_ptr<const User> user;
  std::int64_t createdAt = 0, expiresAt = 0, usedAt = 0;

  /// What it is called for people and in URLs; of no use as a credential.
  std::string publicId() const { return digest.hex().substr(0, 16); }
};

/// All sessions, in memory, by the digests of their cookies: that of the console's host, and one for each instance's
/// host, a grant, which is good there alone and ends with its session. Any thread; look-ups wait for no other look-up.
class SessionTable {
public:
  /// `mostSessions`: makes room for so many at once, since growing would hold up whoever looks.
  explicit SessionTable(std::size_t mostSessions);

  /// How long a session may be unused; 0: any time.
  void setIdleTtl(std::int64_t ms) noexcept { idleTtlMs_.store(ms, std::memory_order_relaxed); }

  /// Calls seen(user) while the session of a grant's cookie is good for the handle at that time, and notes its use.
  /// seen() runs under a lock: it copies what it needs, and nothing else. Allocates nothing.
  template <typename Seen>
  bool visit(std::string_view cookie, std::string_view handle, std::int64_t now, Seen &&seen) const {
    if (!isId(cookie)) return false;
    const DigestKey key = Digest::of(cookie);
    const ReaderLocks::Reading reading(locks_);
    const auto grant = grants_.find(key);
    if (grant == grants_.end() || grant->second.handle != handle) return false;
    const Session &session = *grant->second.session;
    if (!isGood(session, now)) return false;
    touch(session, now);
    seen(session.user);
    return true;
  }
  /// The session of the console's cookie, if it is good; notes its use.
  std::optional<SessionView> find(std::string_view cookie, std::int64_t now) const;
  std::optional<SessionView> find(const Digest &digest, std::int64_t now) const;
  std::vector<SessionView> ofUser(std::string_view userId) const;
  std::size_t size() const;

  /// A cookie of an instance's host. False when the session is no more, or the cookie somebody's already.
  bool grant(const Digest &session, const Digest &cookie, std::string_view handle);

  void add(const SessionView &session);
  /// One of a program that the sign-in `by` lets in: it is good only while that is, and ends with it. False when that
  /// has ended.
  bool addProgram(const SessionView &session, const Digest &by);
  /// Ends it with all its grants and programs; from then on nobody finds them.
  bool remove(const Digest &digest);
  /// Another user for a session: his roles changed.
  void replaceUser(const Digest &digest, User user);

  /// All there are, for what runs now and then.
  std::vector<SessionView> all() const;
  bool isGood(const SessionView &session, std::int64_t now) const;
  /// Calls each(digest, good, usedAt) for all there are: whether it is good at that time, and when it was used last.
  /// Sessions neither begin nor end meanwhile.
  template <typename Each>
  void eachUse(std::int64_t now, Each &&each) const {
    const ReaderLocks::Scanning scanning(locks_);
    for (const auto &[key, session] : sessions_)
      each(digestOf(key, session), isGood(session, now), session.usedAt.load(std::memory_order_relaxed));
  }

private:
  // There are very many of both; what they take is in the README.
  struct Session;
  struct Grant {
    const Session *session;
    std::pair<const DigestKey, Grant> *next; ///< of the same session
    std::string handle;
  };
  struct Session {
    /// `signIn`: that let it in, when it is a program's.
    explicit Session(const SessionView &view, const Session *signIn = nullptr);

    User user;
    std::array<unsigned char, 16> tail; ///< of the digest; the key is its head
    std::int64_t createdAt, expiresAt;
    mutable std::atomic<std::int64_t> usedAt;
    union {                                      // nothing grants a program anything
      std::pair<const DigestKey, Grant> *grants; ///< the last one
      const Session *by;                         ///< the sign-in that let the program in
    };
    std::uint32_t grantsCount = 0;
    const bool isProgram;
  };

  static Digest digestOf(const DigestKey &key, const Session &session) noexcept;
  void endGrants(Session &session);
  void endPrograms(const Session &session);
  void forgetProgram(const DigestKey &key, const Session &program);
  static SessionView viewOf(const DigestKey &key, const Session &session);
  bool isGood(std::int64_t expiresAt, std::int64_t usedAt, std::int64_t now) const noexcept {
    const std::int64_t idle = idleTtlMs_.load(std::memory_order_relaxed);
    return now < expiresAt && (idle == 0 || now < usedAt + idle);
  }
  bool isGood(const Session &session, std::int64_t now) const noexcept {
    return isGood(session.expiresAt, session.usedAt.load(std::memory_order_relaxed), now) &&
           (!session.isProgram || isGood(*session.by, now));
  }
  /// Seldom: what all threads only read stays in the caches of all.
  static void touch(const Session &session, std::int64_t now) noexcept {
    constexpr std::int64_t kPrecisionMs = 10'000;
    if (now > session.usedAt.load(std::memory_order_relaxed) + kPrecisionMs)
      session.usedAt.store(now, std::memory_order_relaxed);
  }

  ReaderLocks locks_;
  std::unordered_map<DigestKey, Session, DigestKey::Hash> sessions_;
  std::unordered_multimap<const Session *, DigestKey> programs_; ///< by the sign-in that let them in
  std::unordered_map<DigestKey, Grant, DigestKey::Hash> grants_;
  std::atomic<std::int64_t> idleTtlMs_{0};
};

} // namespace matrixos::identity
