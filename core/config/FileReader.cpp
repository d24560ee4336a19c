#include "config/FileReader.h"

#include "config/Text.h"

#include <utility>

namespace matrixos::config {

FileReader::FileReader(std::string file, RawConfig &into) : file_(std::move(file)), into_(into) {
  into_.files.push_back(file_);
}

Origin FileReader::at(std::size_t line) const {
  return {Origin::Source::File, file_, line, into_.files.size()};
}

void FileReader::addProblem(std::size_t line, std::string text) {
  if (isHopeless()) return;
  if (++problems_ > kMaxProblems) text = "too many problems; the rest of the file was not read";
  into_.addProblem(at(line), std::move(text));
}

void FileReader::beginSection(std::string_view name, std::size_t line) {
  section_ = name;
  const auto [first, added] = sectionLines_.emplace(section_, line);
  if (!added) {
    addProblem(line, "section [" + section_ + "] stands here again; it began in line " + std::to_string(first->second));
    return;
  }
  into_.sections.push_back({section_, at(line)});
}

void FileReader::addValue(std::string_view key, std::string_view text, std::size_t line, bool commented) {
  const auto [first, added] = keyLines_.emplace(section_ + "." + std::string(key), line);
  if (!added) {
    addProblem(line, "key " + quote(key) + " stands in [" + section_ + "] again; it was set in line " +
                         std::to_string(first->second));
    return;
  }
  into_.values.push_back({section_, std::string(key), std::string(unquote(text)), at(line), commented});
}

} // namespace matrixos::config
