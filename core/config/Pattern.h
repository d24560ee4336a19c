#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace matrixos::config {

/// A regular expression in RE2's syntax (https://github.com/google/re2/wiki/Syntax), which has neither back-references
/// nor lookaround and therefore takes time in proportion to the text, whatever the expression. Immutable, cheap to
/// copy.
class Pattern {
public:
  /// Throws Error(InvalidArgument) that says what is wrong with it, also when it would take more than 1 MB.
  explicit Pattern(const std::string &expression);

  /// It matches the text from its beginning to its end.
  bool matches(std::string_view text) const;

private:
  std::shared_ptr<const re2::RE2> expression_;
};

} // namespace matrixos::config
