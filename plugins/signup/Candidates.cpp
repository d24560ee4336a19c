#include "Candidates.h"

#include <matrixos/handle.hpp>

#include <cstdint>

namespace matrixos::signup {

namespace {

constexpr std::size_t kMaxLetters = 31;
constexpr int kNumbered = 100;

/// Lower-case letters and digits with single dashes for runs of ASCII that is neither; all else is left out.
std::string plain(std::string_view text, std::size_t most) {
  std::string out;
  std::size_t letters = 0;
  bool dash = false;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool isLetter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!isLetter) {
      dash = dash || static_cast<unsigned char>(c) < 0x80;
      continue;
    }
    const std::size_t needs = dash && !out.empty() ? 2 : 1;
    if (out.size() + needs > most || letters == kMaxLetters) break;
    if (needs == 2) out += '-';
    out += c;
    ++letters;
    dash = false;
  }
  return out;
}

std::string fitted(std::string_view text) {
  std::string out = plain(text, kMaxHandleLength);
  // One or two letters are a name, too; a handle has three.
  if (!out.empty() && !isHandle(out)) out += "-user";
  return isHandle(out) ? out : std::string();
}

/// Six letters and digits that are the same each time (FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/).
std::string tail(std::string_view userId, int number) {
  static constexpr char kLetters[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::uint64_t hash = 14695981039346656037U;
  for (const char c : std::string(userId) + "/" + std::to_string(number))
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  std::string out;
  for (int i = 0; i < 6; ++i, hash /= 36)
    out += kLetters[hash % 36];
  return out;
}

} // namespace

bool isAddress(std::string_view email) noexcept {
  const std::size_t at = email.find('@');
  return at != std::string_view::npos && at != 0 && at + 1 < email.size() && email.find('@', at + 1) == email.npos;
}

std::string wantedHandle(std::string_view from, const Person &person) {
  std::string handle;
  if (from == "username") handle = fitted(person.username);
  if (handle.empty() && from != "id" && isAddress(person.email))
    handle = fitted(std::string_view(person.email).substr(0, person.email.find('@')));
  if (handle.empty()) handle = fitted(person.userId);
  return handle.empty() ? "user-" + tail(person.userId, 0) : handle;
}

std::string candidate(std::string_view wanted, std::string_view userId, int number) {
  if (number == 0) return std::string(wanted);
  const std::string end = number < kNumbered ? std::to_string(number + 1) : tail(userId, number);
  // Room for the dash, and a letter less for each that follows.
  std::string handle = plain(wanted, kMaxHandleLength - 1 - end.size()) + "-" + end;
  while (!isHandle(handle) && handle.size() > end.size() + 2)
    handle = plain(wanted, handle.size() - end.size() - 2) + "-" + end;
  return handle;
}

} // namespace matrixos::signup
