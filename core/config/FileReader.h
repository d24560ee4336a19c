#pragma once

#include "config/RawConfig.h"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace matrixos::config {

/// Collects what one configuration file says, with the rules that both formats share: no section and no key twice,
/// values trimmed and unquoted, and an end to reading when a file is mostly problems. The format readers feed it.
class FileReader {
public:
  /// `into` outlives the reader. The file counts as read from here on.
  FileReader(std::string file, RawConfig &into);

  void beginSection(std::string_view name, std::size_t line);
  /// A value of the section begun last. `text` may still be quoted; `commented`: see RawValue.
  void addValue(std::string_view key, std::string_view text, std::size_t line, bool commented = false);
  void addProblem(std::size_t line, std::string text);
  bool hasSection() const noexcept { return !section_.empty(); }
  /// So many problems that the file is something else, e.g. a binary.
  bool isHopeless() const noexcept { return problems_ > kMaxProblems; }

private:
  static constexpr std::size_t kMaxProblems = 50;

  Origin at(std::size_t line) const;

  std::string file_;
  RawConfig &into_;
  std::string section_;
  std::map<std::string, std::size_t, std::less<>> sectionLines_;
  /// By "section.key".
  std::map<std::string, std::size_t, std::less<>> keyLines_;
  std::size_t problems_ = 0;
};

} // namespace matrixos::config
