/// JSON with numbers as they are written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::gateway {

/// A small document of the operator's whose numbers have to stay decimal: 0.1 is no double.
struct ExactJson {
  enum class Kind : std::uint8_t { Null, Word, Number, Text, Array, Object };

  Kind kind = Kind::Null;
  std::string name;               ///< of a member
  std::string text;               ///< of a number as it stands there, or of a text
  std::vector<ExactJson> members; ///< in their order

  /// Throws matrixos::Error(InvalidArgument) for what is no JSON, or names a member twice.
  static ExactJson parse(std::string_view json);
  const ExactJson *find(std::string_view name) const noexcept;
};

} // namespace matrixos::gateway
