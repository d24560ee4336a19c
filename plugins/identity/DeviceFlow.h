#pragma once

#include "Ids.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace matrixos::identity {

/// Programs that ask to be let in, and what people say to that (OAuth 2.0 Device Authorization Grant, RFC 8628): a
/// program gets a secret code and one for people, shows the latter, and asks with the former what became of it.
///
/// In memory alone, of the secret codes their hashes: a restart, after which programs ask anew, takes less than people
/// do. Bounded: of too many the oldest goes, and with it the chance to answer it. Any thread.
class DeviceFlow {
public:
  static constexpr std::int64_t kTtlMs = 600'000;
  static constexpr std::int64_t kIntervalMs = 5000; ///< between two questions of a program
  static constexpr std::size_t kMost = 10'000;      ///< programs at a time
  static constexpr const char *kTooManyGuesses = "TOO_MANY_GUESSES";
  /// At codes for people, in kTtlMs: with kMost programs that ask they hit one in 500 times kTtlMs, and it takes 500
  /// accounts to shut others out.
  static constexpr std::size_t kMostGuesses = 5000;
  static constexpr std::size_t kMostGuessesOfOne = 10; ///< the same, of one user

  /// `now`: ms.
  explicit DeviceFlow(std::function<std::int64_t()> now) : now_(std::move(now)) {}

  struct Begun {
    std::string deviceCode; ///< 256 random bits
    std::string userCode;   ///< "WDJB-MJHT"
  };
  /// `client`: how the program calls itself, for whom alone the code is. `address`: where it is, for people.
  Begun begin(std::string client, std::string address);

  /// A program that asks.
  struct Asking {
    std::string userCode, client, address;
    std::int64_t at;
  };
  /// By its code as `user` typed it; nothing for one that nobody has or had an answer to, which is a guess. Throws
  /// Error(ResourceExhausted, kTooManyGuesses).
  std::optional<Asking> find(std::string_view userCode, std::string_view user);
  /// Lets it in as the user of that sign-in, or not; once. Nothing where find() finds nothing, and throws as it does.
  std::optional<Asking> decide(std::string_view userCode, std::string_view user, const Digest &signIn, bool allow);

  enum class Answer { Waiting, TooSoon, Denied, Expired, Unknown, Allowed };
  struct Polled {
    Answer answer;
    Digest signIn{}; ///< with Allowed: of whoever let it in
  };
  /// What became of it. Allowed is said once, until putBack(); whoever hears it says with done() that it has been used.
  Polled poll(std::string_view deviceCode, std::string_view client);
  void done(std::string_view deviceCode);
  /// It could not be used: it is there for the next question.
  void putBack(std::string_view deviceCode);

private:
  struct Entry {
    DigestKey key;
    std::string userCode; ///< without the dash
    std::string client, address;
    std::int64_t at;
    std::int64_t intervalMs = kIntervalMs, polledAt = 0;
    Answer answer = Answer::Waiting;
    Digest signIn{};
    bool isInUse = false; ///< Allowed was said, and neither done() nor putBack()
  };
  struct Guess {
    std::int64_t at;
    DigestKey user;
  };
  using Place = std::list<Entry>::iterator;

  bool isOver(const Entry &entry, std::int64_t now) const noexcept { return now >= entry.at + kTtlMs; }
  void makeRoom(std::int64_t now);
  void forget(Place entry);
  std::string freeCode() const;
  static Asking askingOf(const Entry &entry);
  void forgetGuesses(std::int64_t now);
  /// The one that waits for an answer; or the end.
  Place waiting(std::string_view userCode, std::string_view user, std::int64_t now);

  const std::function<std::int64_t()> now_;
  std::mutex mutex_;
  std::list<Entry> order_; ///< the oldest first
  std::unordered_map<DigestKey, Place, DigestKey::Hash> byKey_;
  std::unordered_map<std::string, Place> byUserCode_;                     ///< those that wait
  std::deque<Guess> guesses_;                                             ///< the oldest first
  std::unordered_map<DigestKey, std::size_t, DigestKey::Hash> guessesOf_; ///< how many of them, by user
};

} // namespace matrixos::identity
