#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::config {

/// Without blanks, tabs and line ends on both sides.
std::string_view trim(std::string_view text) noexcept;

/// The value as the operator meant it: trimmed, and without a pair of equal quotes around it all.
std::string_view unquote(std::string_view text) noexcept;

/// Holds what other INI dialects take for a comment behind a value: " ;" or " #".
bool looksCommented(std::string_view text) noexcept;

/// Text for a message: in double quotes, control bytes shown as \xNN, cut after 80 bytes.
std::string quote(std::string_view text);

/// What makes the text unfit for a value: "a control character" or "invalid UTF-8"; nothing when it is fine.
/// Tabs are fine.
std::optional<std::string> findBadCharacter(std::string_view text);

/// The items between the commas, each trimmed. An empty text has none.
std::vector<std::string> splitList(std::string_view text);

std::string joinList(std::span<const std::string> items);

/// ASCII letters in lower case.
std::string lower(std::string_view text);

/// The candidate that the word was probably meant to be, by edit distance with transpositions; nothing when all are
/// too far away to be worth naming.
std::optional<std::string> closest(std::string_view word, std::span<const std::string> candidates);

} // namespace matrixos::config
