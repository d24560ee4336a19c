#include "support/Render.h"

#include <Poco/String.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace matrixos::config {

namespace {

constexpr std::size_t kWidth = 110;

constexpr std::string_view kPreface =
    "Configuration of matrixosd: every key at its default.\n"
    "Files in conf.d/ beside this one are read after it, in the order of their names. Variables called "
    "MATRIXOS_<SECTION>_<KEY>, and then the command line, win over all files. Check a change with: "
    "matrixosctl config check\n"
    "Durations are written with ms, s, m, h or d, sizes with KB, MB or GB (powers of 1024), lists with commas. "
    "Relative "
    "paths start at the file they stand in; credential:NAME is the file of a systemd credential of the daemon's unit.";

/// Lines no longer than the width, broken at blanks.
std::vector<std::string> wrap(std::string_view text) {
  std::vector<std::string> lines(1);
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    if (!lines.back().empty() && lines.back().size() + 1 + word.size() > kWidth) lines.emplace_back();
    if (!lines.back().empty()) lines.back() += ' ';
    lines.back() += word;
    if (end < text.size() && text[end] == '\n') lines.emplace_back();
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

/// In the order of the types.
constexpr const char *kUnits[] = {"text",
                                  "whole number",
                                  "number",
                                  "true or false",
                                  "duration (ms, s, m, h, d)",
                                  "size (bytes, KB, MB, GB)",
                                  "list",
                                  "path",
                                  "list of address:port or unix:/path",
                                  "one of ",
                                  "URL",
                                  "list of URLs",
                                  "domain name",
                                  "text",
                                  "rate (count/duration, or 0 for any number)"};

/// "duration (ms, s, m, h, d), 1m..24h; default 30m; takes effect on reload"
std::string factsOf(const KeySpec &key) {
  std::string facts = kUnits[static_cast<std::size_t>(key.type)];
  if (key.type == ValueType::Enum) {
    for (std::size_t i = 0; i < key.words.size(); ++i)
      facts += (i == 0 ? "" : ", ") + key.words[i];
  } else if (!key.range.empty()) {
    facts += (key.type == ValueType::Pattern ? " that matches " : ", ") + key.range;
  }
  if (key.isRequired())
    facts += "; required";
  else
    facts += key.defaultValue.empty() ? "; default empty" : "; default " + key.defaultValue;
  if (key.isSecret()) facts += "; secret, better kept in a file that " + key.name + "_file names";
  if (key.isLive())
    facts += key.isForCreation() ? "; takes effect on reload, for new containers" : "; takes effect on reload";
  return facts;
}

bool isCommentedOut(const KeySpec &key) {
  return key.isSecret() || (key.isRequired() && key.defaultValue.empty());
}

std::string escapeXml(const std::string &text) {
  return Poco::replace(Poco::replace(Poco::replace(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;");
}

/// Two hyphens would end the comment.
std::string escapeComment(std::string text) {
  for (std::size_t at = text.find("--"); at != std::string::npos; at = text.find("--", at))
    text.replace(at, 2, "- -");
  return text;
}

void addIniComment(std::string &out, std::string_view text) {
  for (const auto &line : wrap(text))
    out += "; " + line + "\n";
}

void addXmlComment(std::string &out, std::string_view indent, std::string_view text) {
  std::string comment;
  for (const auto &line : wrap(text)) {
    comment += (comment.empty() ? "" : "\n" + std::string(indent) + "     ") + escapeComment(line);
  }
  out += std::string(indent) + "<!-- " + comment + " -->\n";
}

std::string headline(const SectionSpec &section) {
  return (section.isPlugin ? "Plugin " + section.name + ". " : "") + section.help;
}

} // namespace

std::string renderIni(const Schema &schema) {
  std::string out;
  addIniComment(out, kPreface);
  for (const auto &section : schema.sections()) {
    out += "\n";
    if (const std::string text = headline(section); !text.empty()) addIniComment(out, text);
    out += "[" + section.name + "]\n";
    for (const auto &key : section.keys) {
      addIniComment(out, key.help.empty() ? factsOf(key) : key.help + "\n" + factsOf(key));
      const std::string value = key.defaultValue.empty() ? "" : " " + key.defaultValue;
      out += (isCommentedOut(key) ? ";" : "") + key.name + " =" + value + "\n";
      if (key.isSecret()) out += ";" + key.name + "_file =\n";
    }
  }
  return out;
}

std::string renderXml(const Schema &schema) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  addXmlComment(out, "", kPreface);
  out += "<matrixos>\n";
  const auto element = [](const std::string &name, const std::string &value) {
    return "<" + name + ">" + escapeXml(value) + "</" + name + ">";
  };
  for (const auto &section : schema.sections()) {
    out += "\n";
    if (const std::string text = headline(section); !text.empty()) addXmlComment(out, "  ", text);
    out += "  <" + section.name + ">\n";
    for (const auto &key : section.keys) {
      addXmlComment(out, "    ", key.help.empty() ? factsOf(key) : key.help + "\n" + factsOf(key));
      const std::string line = element(key.name, key.defaultValue);
      out += "    " + (isCommentedOut(key) ? "<!-- " + line + " -->" : line) + "\n";
      if (key.isSecret()) out += "    <!-- " + element(key.name + "_file", "") + " -->\n";
    }
    out += "  </" + section.name + ">\n";
  }
  return out + "</matrixos>\n";
}

} // namespace matrixos::config
