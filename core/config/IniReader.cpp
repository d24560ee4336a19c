#include "config/IniReader.h"

#include "config/FileReader.h"
#include "config/Text.h"

#include <algorithm>

namespace matrixos::config {

namespace {

void readSectionLine(FileReader &reader, std::string_view line, std::size_t number) {
  const std::size_t close = line.find(']');
  if (close == std::string_view::npos || close + 1 != line.size()) {
    reader.addProblem(number, "malformed section " + quote(line) + "; write [name] and nothing behind it");
    return;
  }
  const std::string_view name = trim(line.substr(1, close - 1));
  if (name.empty() || name.find('[') != std::string_view::npos) {
    reader.addProblem(number, "malformed section " + quote(line) + "; write [name]");
    return;
  }
  reader.beginSection(name, number);
}

void readLine(FileReader &reader, std::string_view line, std::size_t number) {
  line = trim(line);
  if (line.empty() || line.front() == ';' || line.front() == '#') return;
  if (const auto bad = findBadCharacter(line)) {
    reader.addProblem(number, "the line holds " + *bad + "; write plain UTF-8 text");
    return;
  }
  if (line.front() == '[') return readSectionLine(reader, line, number);
  const std::size_t equals = line.find('=');
  const std::string_view key = trim(line.substr(0, std::min(equals, line.size())));
  if (equals == std::string_view::npos || key.empty()) {
    reader.addProblem(number, "cannot read " + quote(line) + "; write key = value, [section] or ; comment");
    return;
  }
  if (!reader.hasSection()) {
    reader.addProblem(number, "key " + quote(key) + " stands before the first [section]");
    return;
  }
  const std::string_view value = trim(line.substr(equals + 1));
  reader.addValue(key, value, number, unquote(value) == value && looksCommented(value));
}

} // namespace

void readIni(std::string_view text, const std::string &file, RawConfig &into) {
  FileReader reader(file, into);
  std::size_t number = 0;
  while (!text.empty() && !reader.isHopeless()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    readLine(reader, text.substr(0, end), ++number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

} // namespace matrixos::config
