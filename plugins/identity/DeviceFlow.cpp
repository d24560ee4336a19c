#include "DeviceFlow.h"

#include <matrixos/status.hpp>

#include <http/codec/Grammar.h>
#include <sys/random.h>

#include <array>
#include <iterator>
#include <utility>

namespace matrixos::identity {

namespace {

/// No vowels, so that no code is a word, and none of what looks alike (RFC 8628 §6.1): 20^8 codes.
constexpr std::string_view kLetters = "BCDFGHJKLMNPQRSTVWXZ";
constexpr std::size_t kLength = 8;
/// A question that was asked in time may be early here, when the one before it took longer on its way.
constexpr std::int64_t kEarlyMs = 500;

std::string randomCode() {
  std::string code;
  while (code.size() < kLength) {
    std::array<unsigned char, 16> bytes{};
    if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
      throw Error(Status::Unavailable, "the system has no randomness for a code", "NO_RANDOMNESS");
    for (const unsigned char byte : bytes) {
      const bool isFair = byte < 256 / kLetters.size() * kLetters.size();
      if (isFair && code.size() < kLength) code += kLetters[byte % kLetters.size()];
    }
  }
  return code;
}

std::string shown(const std::string &code) {
  return code.substr(0, kLength / 2) + "-" + code.substr(kLength / 2);
}

/// As people type it: in any case, with anything between that is neither letter nor digit. Empty for what cannot be
/// one.
std::string codeIn(std::string_view typed) {
  std::string code;
  for (const char c : typed.substr(0, 64)) {
    const char upper = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if ((upper >= 'A' && upper <= 'Z') || (c >= '0' && c <= '9')) code += upper;
  }
  return code.size() == kLength ? code : std::string();
}

} // namespace

DeviceFlow::Begun DeviceFlow::begin(std::string client, std::string address) {
  Begun out{makeId(), {}};
  const std::int64_t now = now_();
  const std::lock_guard lock(mutex_);
  makeRoom(now);
  const std::string code = freeCode();
  order_.push_back({Digest::of(out.deviceCode), code, std::move(client), std::move(address), now});
  const Place entry = std::prev(order_.end());
  byKey_[entry->key] = entry;
  byUserCode_[code] = entry;
  out.userCode = shown(code);
  return out;
}

/// Those that are over are kept as long again, so that their programs hear that they are.
void DeviceFlow::makeRoom(std::int64_t now) {
  while (!order_.empty() && (now >= order_.front().at + 2 * kTtlMs || order_.size() >= kMost))
    forget(order_.begin());
}

void DeviceFlow::forget(Place entry) {
  byKey_.erase(entry->key);
  const auto code = byUserCode_.find(entry->userCode);
  if (code != byUserCode_.end() && code->second == entry) byUserCode_.erase(code);
  order_.erase(entry);
}

std::string DeviceFlow::freeCode() const {
  for (;;) {
    std::string code = randomCode();
    if (byUserCode_.count(code) == 0) return code;
  }
}

void DeviceFlow::forgetGuesses(std::int64_t now) {
  for (; !guesses_.empty() && now >= guesses_.front().at + kTtlMs; guesses_.pop_front()) {
    const auto of = guessesOf_.find(guesses_.front().user);
    if (--of->second == 0) guessesOf_.erase(of);
  }
}

DeviceFlow::Place DeviceFlow::waiting(std::string_view userCode, std::string_view user, std::int64_t now) {
  forgetGuesses(now);
  const DigestKey who = Digest::of(user);
  const auto ofOne = guessesOf_.find(who);
  if (guesses_.size() >= kMostGuesses || (ofOne != guessesOf_.end() && ofOne->second >= kMostGuessesOfOne)) {
    throw Error(Status::ResourceExhausted, "there were too many wrong codes; try again in ten minutes", kTooManyGuesses,
                kTtlMs);
  }
  const auto found = byUserCode_.find(codeIn(userCode));
  if (found != byUserCode_.end() && !isOver(*found->second, now)) return found->second;
  guesses_.push_back({now, who});
  ++guessesOf_[who];
  return order_.end();
}

std::optional<DeviceFlow::Asking> DeviceFlow::find(std::string_view userCode, std::string_view user) {
  const std::int64_t now = now_();
  const std::lock_guard lock(mutex_);
  const Place entry = waiting(userCode, user, now);
  if (entry == order_.end()) return std::nullopt;
  return askingOf(*entry);
}

DeviceFlow::Asking DeviceFlow::askingOf(const Entry &entry) {
  return {shown(entry.userCode), entry.client, entry.address, entry.at};
}

std::optional<DeviceFlow::Asking> DeviceFlow::decide(std::string_view userCode, std::string_view user,
                                                     const Digest &signIn, bool allow) {
  const std::int64_t now = now_();
  const std::lock_guard lock(mutex_);
  const Place entry = waiting(userCode, user, now);
  if (entry == order_.end()) return std::nullopt;
  byUserCode_.erase(entry->userCode);
  entry->answer = allow ? Answer::Allowed : Answer::Denied;
  entry->signIn = signIn;
  return askingOf(*entry);
}

DeviceFlow::Polled DeviceFlow::poll(std::string_view deviceCode, std::string_view client) {
  const std::int64_t now = now_();
  const std::lock_guard lock(mutex_);
  const auto found = byKey_.find(Digest::of(deviceCode));
  if (found == byKey_.end() || found->second->client != client) return {Answer::Unknown};
  Entry &entry = *found->second;
  if (isOver(entry, now)) return {Answer::Expired};
  const bool isTooSoon = entry.polledAt != 0 && now < entry.polledAt + entry.intervalMs - kEarlyMs;
  entry.polledAt = now;
  if (isTooSoon) {
    entry.intervalMs += kIntervalMs;
    return {Answer::TooSoon};
  }
  if (entry.answer == Answer::Allowed && std::exchange(entry.isInUse, true)) return {Answer::Waiting};
  return {entry.answer, entry.signIn};
}

void DeviceFlow::done(std::string_view deviceCode) {
  const std::lock_guard lock(mutex_);
  const auto found = byKey_.find(Digest::of(deviceCode));
  if (found != byKey_.end()) forget(found->second);
}

void DeviceFlow::putBack(std::string_view deviceCode) {
  const std::lock_guard lock(mutex_);
  const auto found = byKey_.find(Digest::of(deviceCode));
  if (found != byKey_.end()) found->second->isInUse = false;
}

} // namespace matrixos::identity
