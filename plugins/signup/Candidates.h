/// Handles for people who sign up, made of what is known of them.
#pragma once

#include <string>
#include <string_view>

namespace matrixos::signup {

/// Somebody at a provider of identities.
struct Person {
  std::string userId, email, username; ///< the last two may be empty
};

/// Whether it is one: something, one @, something. What has two is none (security.md 48).
bool isAddress(std::string_view email) noexcept;

/// The handle that a person gets unless it is taken: from "username", "email" (what stands before the @) or "id",
/// `from` says which first; what yields nothing gives way to the next in this order. Fits the grammar of handles, and
/// may be a reserved one.
std::string wantedHandle(std::string_view from, const Person &person);

/// The handle to try as number `number`, from 0: the wanted one, then wanted-2, wanted-3 …, and from 100 on one that
/// ends in six characters that depend on the user's id. Each fits the grammar.
std::string candidate(std::string_view wanted, std::string_view userId, int number);

} // namespace matrixos::signup
