#pragma once

#include <map>
#include <string>

namespace matrixos::conformance {

/// A configuration in the daemon's INI format: sections, key=value, comments with ; at the start of a line.
class IniFile {
public:
  using Section = std::map<std::string, std::string>;

  /// Throws std::runtime_error that names file and line.
  static IniFile read(const std::string &path);
  /// "section.key=value", as on the daemon's command line. Throws std::runtime_error.
  void set(const std::string &assignment);
  const Section &section(const std::string &name) const;

private:
  std::map<std::string, Section> sections_;
};

/// Without blanks around it.
std::string trimmed(const std::string &text);

} // namespace matrixos::conformance
