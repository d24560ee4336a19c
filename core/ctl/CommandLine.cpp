#include "ctl/CommandLine.h"

#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <set>

namespace matrixos::ctl {

namespace {

std::size_t distance(const std::string &a, const std::string &b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j)
    row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// `prefix`: stands before each of them.
std::string suggestion(const std::string &word, const std::set<std::string> &known, const std::string &prefix = {}) {
  std::string best;
  std::size_t least = word.size() / 4 + 2;
  for (const std::string &candidate : known) {
    const std::size_t d = distance(word, candidate);
    if (d < least) {
      least = d;
      best = candidate;
    }
  }
  return best.empty() ? "" : "; did you mean \"" + prefix + best + "\"?";
}

bool startsWith(const CommandSpec &command, const std::vector<std::string> &words) {
  return words.size() <= command.words.size() && std::equal(words.begin(), words.end(), command.words.begin());
}

/// The one with the most words that are the first of these, of which at most `most` count; null: none.
const CommandSpec *longestFit(const std::vector<CommandSpec> &commands, const std::vector<std::string> &words,
                              std::size_t most) {
  const CommandSpec *best = nullptr;
  for (const CommandSpec &command : commands) {
    const bool fits = most >= command.words.size() && words.size() >= command.words.size() &&
                      std::equal(command.words.begin(), command.words.end(), words.begin());
    if (fits && (best == nullptr || command.words.size() > best->words.size())) best = &command;
  }
  return best;
}

/// Second words of the commands that begin with the first one.
std::set<std::string> wordsBehind(const std::vector<CommandSpec> &commands, const std::string &first) {
  std::set<std::string> seconds;
  for (const CommandSpec &command : commands) {
    if (command.words.size() > 1 && command.words[0] == first) seconds.insert(command.words[1]);
  }
  return seconds;
}

/// What was typed, but for the options.
struct Typed {
  std::vector<std::string> words;
  std::size_t plain = 0; ///< how many of them stood before "--"
};

/// Takes the command's words off the front; throws with the nearest one when they are unknown. What stands behind "--"
/// is part of the command only where it cannot be an argument.
const CommandSpec &findCommand(const std::vector<CommandSpec> &commands, Typed &typed) {
  std::vector<std::string> &words = typed.words;
  const CommandSpec *best = longestFit(commands, words, typed.plain);
  if (best == nullptr) best = longestFit(commands, words, words.size());
  if (best != nullptr) {
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(best->words.size()));
    return *best;
  }
  std::set<std::string> firsts;
  for (const CommandSpec &command : commands)
    firsts.insert(command.words[0]);
  const std::set<std::string> seconds = wordsBehind(commands, words[0]);
  if (seconds.empty()) throw UnknownWord("unknown command \"" + words[0] + "\"" + suggestion(words[0], firsts));
  const std::vector<std::string> choices(seconds.begin(), seconds.end());
  if (words.size() < 2) throw UsageError("\"" + words[0] + "\" is followed by " + listed(choices, "or"));
  const std::string nearest = suggestion(words[1], seconds);
  throw UnknownWord("unknown command \"" + words[0] + " " + words[1] + "\"" +
                    (nearest.empty() ? "; there are: " + listed(choices) : nearest));
}

const OptionSpec *findOption(const std::vector<OptionSpec> &options, const std::string &name) {
  const auto at = std::find_if(options.begin(), options.end(), [&](const OptionSpec &o) { return o.name == name; });
  return at == options.end() ? nullptr : &*at;
}

/// The option of that name; of a command whose words were typed, if one of those has it, since two commands may mean
/// different things by it.
const OptionSpec *findOption(const std::vector<CommandSpec> &commands, const std::vector<std::string> &words,
                             const std::string &name) {
  if (const OptionSpec *global = findOption(globalOptions(), name)) return global;
  const OptionSpec *any = nullptr;
  std::size_t fits = 0;
  for (const CommandSpec &command : commands) {
    const OptionSpec *option = findOption(command.options, name);
    if (option == nullptr) continue;
    const bool typed =
        std::search(words.begin(), words.end(), command.words.begin(), command.words.end()) != words.end();
    if (any != nullptr && (!typed || command.words.size() <= fits)) continue;
    any = option;
    if (typed) fits = command.words.size();
  }
  return any;
}

/// Splits options off; they may stand anywhere.
Typed takeOptions(const std::vector<CommandSpec> &commands, const std::vector<std::string> &words,
                  std::map<std::string, std::string> &options) {
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--") { // what follows is no option, whatever it looks like
      const std::size_t plain = rest.size();
      rest.insert(rest.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      return {std::move(rest), plain};
    }
    if (words[i] == "-h" || words[i] == "-V") {
      options[words[i] == "-h" ? "help" : "version"] = "";
      continue;
    }
    if (words[i].size() > 1 && words[i][0] == '-' && words[i][1] != '-')
      throw UsageError("unknown option " + words[i] + "; write -- before an argument that begins with a dash");
    if (words[i].rfind("--", 0) != 0) {
      rest.push_back(words[i]);
      continue;
    }
    const std::size_t equals = words[i].find('=');
    const std::string name = words[i].substr(2, equals == std::string::npos ? equals : equals - 2);
    const OptionSpec *option = findOption(commands, words, name);
    if (option == nullptr) {
      std::set<std::string> known;
      for (const OptionSpec &global : globalOptions())
        known.insert(global.name);
      for (const CommandSpec &command : commands) {
        for (const OptionSpec &own : command.options)
          known.insert(own.name);
      }
      throw UnknownWord("unknown option --" + name + suggestion(name, known, "--"));
    }
    if (option->argument.empty()) {
      if (equals != std::string::npos) throw UsageError("--" + name + " takes no value");
      options[name] = "";
    } else if (equals != std::string::npos) {
      options[name] = words[i].substr(equals + 1);
    } else if (i + 1 < words.size()) {
      options[name] = words[++i];
    } else {
      throw UsageError("--" + name + " needs a value: --" + name + " " + option->argument);
    }
  }
  const std::size_t plain = rest.size();
  return {std::move(rest), plain};
}

void checkArguments(const std::vector<CommandSpec> &commands, const Invocation &invocation) {
  const CommandSpec &command = *invocation.command;
  std::size_t required = 0;
  for (const std::string &argument : command.arguments)
    required += argument[0] == '[' ? 0 : 1;
  if (invocation.arguments.size() < required) {
    throw UsageError("\"" + joined(command.words) + "\" needs " + command.arguments[invocation.arguments.size()] +
                     ": matrixosctl " + synopsis(command));
  }
  // One whose name ends in "…" takes as many as there are.
  const bool more = !command.arguments.empty() && command.arguments.back().find("…") != std::string::npos;
  if (invocation.arguments.size() > command.arguments.size() && !more) {
    std::set<std::string> seconds;
    if (command.words.size() == 1) seconds = wordsBehind(commands, command.words[0]);
    // One that was typed as it is stood behind "--".
    const bool isOne = seconds.count(invocation.arguments[0]) != 0;
    const std::string nearest = isOne ? "" : suggestion(invocation.arguments[0], seconds, command.words[0] + " ");
    throw UsageError("unexpected argument \"" + invocation.arguments[command.arguments.size()] + "\": matrixosctl " +
                     synopsis(command) + nearest);
  }
  for (const OptionSpec &option : command.options) {
    if (option.required && !invocation.has(option.name)) {
      throw UsageError("\"" + joined(command.words) + "\" needs --" + option.name + " " + option.argument + ": " +
                       option.help);
    }
  }
  for (const auto &[name, value] : invocation.options) {
    if (findOption(globalOptions(), name) == nullptr && findOption(command.options, name) == nullptr) {
      throw UsageError("\"" + joined(command.words) + "\" has no option --" + name);
    }
  }
}

/// With blanks behind it, to that many characters.
std::string padded(const std::string &text, std::size_t width) {
  return text + std::string(width - std::min(width, countCharacters(text)), ' ');
}

std::string optionLine(const OptionSpec &option) {
  const std::string text = "  --" + option.name + (option.argument.empty() ? "" : "=" + option.argument);
  return padded(text + "  ", 26) + option.help + "\n";
}

} // namespace

std::string joined(const std::vector<std::string> &words) {
  std::string text;
  for (const std::string &word : words)
    text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string listed(const std::vector<std::string> &words, const std::string &last) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool isLast = i + 1 == words.size() && !last.empty();
    text += (i == 0 ? "" : isLast ? " " + last + " " : ", ") + words[i];
  }
  return text;
}

std::string synopsis(const CommandSpec &command) {
  std::string text = joined(command.words);
  for (const std::string &argument : command.arguments)
    text += " " + argument;
  for (const OptionSpec &option : command.options) {
    std::string word = "--" + option.name + (option.argument.empty() ? "" : " " + option.argument);
    text += option.required ? " " + word : " [" + word + "]";
  }
  if (!command.needs.empty())
    text += " --" + command.needs + " " + findOption(globalOptions(), command.needs)->argument;
  return text;
}

const std::vector<std::pair<int, std::string>> &exitCodes() {
  static const std::vector<std::pair<int, std::string>> codes{{0, "done"},
                                                              {1, "refused by the daemon"},
                                                              {64, "wrong arguments"},
                                                              {69, "no daemon answers"},
                                                              {70, "a fault of matrixosctl's own"},
                                                              {73, "cannot make a file"},
                                                              {74, "cannot write the output"},
                                                              {77, "not allowed"},
                                                              {78, "wrong configuration"}};
  return codes;
}

const std::vector<OptionSpec> &globalOptions() {
  static const std::vector<OptionSpec> options{
      {"config", "FILE", "the daemon's configuration, to find its admin socket (default /etc/matrixos/matrixosd.ini)"},
      {"api", "URL", "talk to unix:/path/of.sock or http://host:port in place of the admin socket"},
      {"url", "URL", "talk to a platform elsewhere, such as https://api.example.com; sign in there once with login"},
      {"secret-file", "FILE",
       "file with an API token or the platform's secret, for --url, and for --api with another socket"},
      {"json", "", "print JSON instead of tables and sentences, errors (on standard error) too"},
      {"help", "", "explain the command and exit; -h"},
      {"version", "", "print the version and exit; -V"}};
  return options;
}

std::string Invocation::get(const std::string &option, const std::string &fallback) const {
  const auto at = options.find(option);
  return at == options.end() ? fallback : at->second;
}

Invocation parse(const std::vector<CommandSpec> &commands, const std::vector<std::string> &words) {
  Invocation invocation;
  Typed typed = takeOptions(commands, words, invocation.options);
  if (invocation.has("help") || invocation.has("version")) {
    invocation.arguments = std::move(typed.words);
    return invocation;
  }
  if (typed.words.empty()) throw UsageError("no command given");
  invocation.command = std::make_shared<const CommandSpec>(findCommand(commands, typed));
  invocation.arguments = std::move(typed.words);
  checkArguments(commands, invocation);
  return invocation;
}

std::string helpFor(const std::vector<CommandSpec> &commands, const std::vector<std::string> &words) {
  std::vector<std::string> prefix = words;
  const auto fits = [&](const CommandSpec &command) { return startsWith(command, prefix); };
  while (!prefix.empty() && std::none_of(commands.begin(), commands.end(), fits))
    prefix.pop_back();
  if (prefix.empty() && !words.empty()) {
    Typed unknown{words, words.size()};
    findCommand(commands, unknown); // says what is unknown
  }
  std::string text = "usage: matrixosctl [options] COMMAND\n\nControls a running matrixosd.\n\n";
  std::size_t width = 0;
  for (const CommandSpec &command : commands) {
    if (fits(command)) width = std::max(width, countCharacters(synopsis(command)));
  }
  width = std::min<std::size_t>(width, 46);
  for (const CommandSpec &command : commands) {
    if (!fits(command)) continue;
    std::string line = "  " + synopsis(command);
    if (countCharacters(line) > width + 2) line += "\n" + std::string(width + 2, ' ');
    text += padded(line, width + 2) + "  " + command.help + "\n";
    if (prefix.empty()) continue;
    for (const OptionSpec &option : command.options)
      text += "  " + optionLine(option);
  }
  text += "\nOptions of every command:\n";
  for (const OptionSpec &option : globalOptions())
    text += optionLine(option);
  std::string line = "\nExit codes:";
  for (const auto &[code, meaning] : exitCodes()) {
    const std::string word =
        " " + std::to_string(code) + " " + meaning + (code == exitCodes().back().first ? "." : ",");
    if (line.size() + word.size() > 110) {
      text += line + "\n";
      line.clear();
    }
    line += line.empty() ? word.substr(1) : word;
  }
  return text + line + "\nTab completion: source <(matrixosctl completion bash)\n";
}

} // namespace matrixos::ctl
