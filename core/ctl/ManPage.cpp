#include "ctl/ManPage.h"

#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace matrixos::ctl {

namespace {

/// One character of UTF-8 as groff(7) names it: \\[u00E9].
std::string escaped(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character[0]);
  unsigned code = character.size() == 1 ? lead : lead & (0xFFU >> (character.size() + 1));
  for (std::size_t i = 1; i < character.size(); ++i)
    code = code << 6U | (static_cast<unsigned char>(character[i]) & 0x3FU);
  std::array<char, 16> name{};
  std::snprintf(name.data(), name.size(), "\\[u%04X]", code);
  return name.data();
}

/// Text that troff takes for nothing else: dashes stay dashes, no line is a request, and all is ASCII.
std::string plain(const std::string &text) {
  std::string out = !text.empty() && (text[0] == '.' || text[0] == '\'') ? "\\&" : "";
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (text.compare(at, 3, "…") == 0) {
      out += "\\|.\\|.\\|.";
      at += 2;
    } else if (static_cast<unsigned char>(text[at]) >= 0x80) {
      const std::size_t length = std::max<std::size_t>(characterLength(std::string_view(text).substr(at)), 1);
      out += escaped(std::string_view(text).substr(at, length));
      at += length - 1;
    } else {
      out += c == '-' ? "\\-" : c == '\\' ? "\\e" : std::string(1, c);
    }
  }
  return out;
}

std::string entry(const std::string &term, const std::string &text) {
  return ".TP\n\\fB" + plain(term) + "\\fR\n" + plain(text) + ".\n";
}

std::string termOf(const OptionSpec &option) {
  return "--" + option.name + (option.argument.empty() ? "" : "=" + option.argument);
}

} // namespace

std::string manPage(const std::vector<CommandSpec> &commands, const std::string &version) {
  std::string text = ".TH MATRIXOSCTL 1 \"\" \"matrixosctl " + plain(version) +
                     "\" \"Matrix OS Platform\"\n"
                     ".SH NAME\nmatrixosctl \\- controls a running matrixosd\n"
                     ".SH SYNOPSIS\n.B matrixosctl\n[\\fIoptions\\fR] \\fICOMMAND\\fR [\\fIarguments\\fR]\n"
                     ".SH DESCRIPTION\nA client of the daemon's API. It finds the daemon's admin socket through the "
                     "configuration, so that it needs no options on the daemon's machine.\n"
                     ".SH COMMANDS\n";
  for (const CommandSpec &command : commands) {
    text += entry(synopsis(command), command.help);
    if (command.options.empty()) continue;
    text += ".RS\n";
    for (const OptionSpec &option : command.options)
      text += entry(termOf(option), option.help);
    text += ".RE\n";
  }
  text += ".SH OPTIONS\n";
  for (const OptionSpec &option : globalOptions())
    text += entry(termOf(option), option.help);
  text += ".SH EXIT STATUS\n";
  for (const auto &[code, meaning] : exitCodes())
    text += entry(std::to_string(code), meaning);
  return text + ".SH FILES\n" +
         entry("/etc/matrixos/matrixosd.ini", "the configuration, where no other is given with --config") +
         entry("/var/lib/matrixos/run/admin.sock", "the daemon's admin socket, unless it is configured elsewhere") +
         entry("~/.config/matrixos/credentials", "where login has signed in, for the user alone") +
         ".SH SEE ALSO\n.BR matrixosd (8),\n.BR matrixosd.ini (5)\n";
}

} // namespace matrixos::ctl
