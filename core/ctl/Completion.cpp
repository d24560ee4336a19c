#include "ctl/Completion.h"

#include <iterator>
#include <map>

namespace matrixos::ctl {

namespace {

/// What completes the arguments of a command: a command that prints words, or files.
struct Source {
  std::string words; ///< empty: none
  bool files = false;
};

/// "[ID|FILE…]" is ID and FILE.
std::vector<std::string> namesOf(const std::string &argument) {
  std::vector<std::string> names(1);
  for (const char c : argument) {
    if (c == '|')
      names.emplace_back();
    else if ((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-')
      names.back() += c;
  }
  return names;
}

/// The command that lists what the argument can be: the nearest one, so that two plugins may mean different things by
/// ID.
const CommandSpec *listOf(const std::vector<CommandSpec> &commands, const CommandSpec &command,
                          const std::string &argument) {
  const CommandSpec *best = nullptr;
  int nearest = 0;
  for (const CommandSpec &list : commands) {
    if (list.lists.empty() || list.lists != argument) continue;
    const int near = list.words[0] == command.words[0]                       ? 2
                     : !command.owner.empty() && list.owner == command.owner ? 1
                                                                             : 0;
    if (near <= nearest) continue;
    best = &list;
    nearest = near;
  }
  return best;
}

Source sourceOf(const std::vector<CommandSpec> &commands, const CommandSpec &command) {
  Source source;
  if (command.arguments.empty()) return source;
  for (const std::string &name : namesOf(command.arguments.front())) {
    if (name == "FILE" || name == "DIR") source.files = true;
    const CommandSpec *list = source.words.empty() ? listOf(commands, command, name) : nullptr;
    if (list != nullptr) source.words = "matrixosctl " + joined(list->words) + " --quiet 2>/dev/null";
  }
  return source;
}

/// In a case statement of bash or zsh: what was typed so far, cut to two words, means this command, if it means none of
/// more words.
std::string patternOf(const CommandSpec &command) {
  const std::string words = joined(command.words);
  return "'" + words + "'" + (command.words.size() == 1 ? "|'" + words + " '*" : "");
}

bool takesFile(const OptionSpec &option) {
  return option.argument == "FILE" || option.argument == "DIR";
}

/// In single quotes, where bash and zsh take all but the quote as it is.
std::string quoted(const std::string &text) {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

/// In single quotes of fish, where a backslash escapes both.
std::string quotedForFish(const std::string &text) {
  std::string out = "'";
  for (const char c : text)
    out += std::string(c == '\'' || c == '\\' ? "\\" : "") + c;
  return out + "'";
}

/// First words with what follows them: {"status": [command], "containers": [commands…]}; the one that has no second
/// word comes last.
std::map<std::string, std::vector<const CommandSpec *>> grouped(const std::vector<CommandSpec> &commands) {
  std::map<std::string, std::vector<const CommandSpec *>> groups;
  for (const CommandSpec &command : commands) {
    auto &group = groups[command.words[0]];
    const bool isLast = !group.empty() && group.back()->words.size() == 1;
    group.insert(isLast ? std::prev(group.end()) : group.end(), &command);
  }
  return groups;
}

/// A group's help: that of the command that is the first word, or its second words.
std::string helpOf(const std::vector<const CommandSpec *> &group) {
  if (group.back()->words.size() == 1) return group.back()->help;
  std::string text;
  for (const CommandSpec *command : group)
    text += (text.empty() ? "" : ", ") + command->words[1];
  return text;
}

std::string bash(const std::vector<CommandSpec> &commands) {
  std::string globals, own, firsts, groups, arguments;
  for (const OptionSpec &option : globalOptions())
    globals += " --" + option.name;
  for (const auto &[first, group] : grouped(commands)) {
    firsts += " " + first;
    std::string seconds, behindFirst;
    for (const CommandSpec *command : group) {
      if (command->words.size() > 1) seconds += " " + command->words[1];
      const std::string words = patternOf(*command);
      if (!command->options.empty()) {
        own += "    " + words + ") opts+='";
        for (const OptionSpec &option : command->options)
          own += " --" + option.name;
        own += "';;\n";
      }
      const Source source = sourceOf(commands, *command);
      std::string replies;
      if (!source.words.empty()) replies += " $(compgen -W \"$(" + source.words + ")\" -- \"$cur\")";
      if (source.files) replies += " $(compgen -f -- \"$cur\")";
      if (command->words.size() == 1) {
        behindFirst = replies;
      } else if (!replies.empty()) {
        arguments += "      " + words + ") COMPREPLY=(" + replies.substr(1) + ");;\n";
      }
    }
    if (!seconds.empty()) behindFirst = " $(compgen -W '" + seconds + "' -- \"$cur\")" + behindFirst;
    if (!behindFirst.empty()) groups += "      " + first + ") COMPREPLY=(" + behindFirst.substr(1) + ");;\n";
  }
  return "_matrixosctl() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} words=() w opts='" +
         globals +
         "'\n"
         "  for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do [[ $w == -* ]] || words+=(\"$w\"); done\n"
         "  case \"${words[*]:0:2}\" in\n" +
         own +
         "  esac\n"
         "  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$opts\" -- \"$cur\")); return; fi\n"
         "  if ((${#words[@]} == 0)); then COMPREPLY=($(compgen -W '" +
         firsts +
         "' -- \"$cur\")); return; fi\n"
         "  if ((${#words[@]} == 1)); then\n"
         "    case ${words[0]} in\n" +
         groups +
         "    esac\n"
         "    return\n"
         "  fi\n"
         "  case \"${words[*]:0:2}\" in\n" +
         arguments +
         "  esac\n"
         "}\n"
         "complete -F _matrixosctl matrixosctl\n";
}

std::string zsh(const std::vector<CommandSpec> &commands) {
  const auto described = [](const std::string &word, const std::string &help) {
    return " " + quoted(word + ":" + help);
  };
  std::string globals, own, firsts, groups, arguments;
  for (const OptionSpec &option : globalOptions())
    globals += described("--" + option.name, option.help);
  for (const auto &[first, group] : grouped(commands)) {
    firsts += described(first, helpOf(group));
    std::string seconds, behindFirst;
    for (const CommandSpec *command : group) {
      if (command->words.size() > 1) seconds += described(command->words[1], command->help);
      const std::string words = patternOf(*command);
      if (!command->options.empty()) {
        own += "      " + words + ") options+=(";
        for (const OptionSpec &option : command->options)
          own += described("--" + option.name, option.help);
        own += ");;\n";
      }
      const Source source = sourceOf(commands, *command);
      std::string reply;
      if (!source.words.empty()) reply += " compadd -- ${(f)\"$(" + source.words + ")\"};";
      if (source.files) reply += " _files;";
      if (command->words.size() == 1) {
        behindFirst = reply;
      } else if (!reply.empty()) {
        arguments += "      " + words + ")" + reply + ";\n";
      }
    }
    if (!seconds.empty()) behindFirst += " found=(" + seconds + ");";
    if (!behindFirst.empty()) groups += "      " + first + ")" + behindFirst + ";\n";
  }
  return "#compdef matrixosctl\n"
         "_matrixosctl() {\n"
         "  local word\n"
         "  local -a before found options\n"
         "  for word in ${words[2,CURRENT-1]}; do [[ $word == -* ]] || before+=($word); done\n"
         "  if [[ ${words[CURRENT]} == -* ]]; then\n"
         "    options=(" +
         globals +
         ")\n"
         "    case \"${before[1,2]}\" in\n" +
         own +
         "    esac\n"
         "    _describe -o option options\n"
         "    return\n"
         "  fi\n"
         "  if (( ${#before} == 0 )); then\n"
         "    found=(" +
         firsts +
         ")\n"
         "    _describe command found\n"
         "    return\n"
         "  fi\n"
         "  if (( ${#before} == 1 )); then\n"
         "    case ${before[1]} in\n" +
         groups +
         "    esac\n"
         "    (( ${#found} )) && _describe command found\n"
         "    return\n"
         "  fi\n"
         "  case \"${before[1,2]}\" in\n" +
         arguments +
         "  esac\n"
         "}\n"
         "if [ \"$funcstack[1]\" = _matrixosctl ]; then _matrixosctl \"$@\"; else compdef _matrixosctl matrixosctl; "
         "fi\n";
}

std::string fish(const std::vector<CommandSpec> &commands) {
  const auto quote = quotedForFish;
  const auto option = [&](const OptionSpec &spec, const std::string &condition) {
    return "complete -c matrixosctl" + condition + " -l " + spec.name +
           (spec.argument.empty() ? ""
            : takesFile(spec)     ? " -r -F"
                                  : " -x") +
           " -d " + quote(spec.help) + "\n";
  };
  std::string text = "complete -c matrixosctl -f\n";
  for (const OptionSpec &spec : globalOptions())
    text += option(spec, "");
  for (const auto &[first, group] : grouped(commands)) {
    text += "complete -c matrixosctl -n __fish_use_subcommand -a " + first + " -d " + quote(helpOf(group)) + "\n";
    std::string seconds;
    for (const CommandSpec *command : group)
      if (command->words.size() > 1) seconds += " " + command->words[1];
    const std::string inGroup = "__fish_seen_subcommand_from " + first;
    for (const CommandSpec *command : group) {
      std::string inCommand = inGroup;
      if (command->words.size() > 1) {
        text += "complete -c matrixosctl -n " + quote(inGroup + "; and not __fish_seen_subcommand_from" + seconds) +
                " -a " + command->words[1] + " -d " + quote(command->help) + "\n";
        inCommand += "; and __fish_seen_subcommand_from " + command->words[1];
      } else if (!seconds.empty()) {
        inCommand += "; and not __fish_seen_subcommand_from" + seconds;
      }
      for (const OptionSpec &spec : command->options)
        text += option(spec, " -n " + quote(inCommand));
      const Source source = sourceOf(commands, *command);
      if (source.files) text += "complete -c matrixosctl -n " + quote(inCommand) + " -F\n";
      if (!source.words.empty())
        text += "complete -c matrixosctl -n " + quote(inCommand) + " -a " + quote("(" + source.words + ")") + "\n";
    }
  }
  return text;
}

} // namespace

const std::vector<std::string> &completionShells() {
  static const std::vector<std::string> shells{"bash", "zsh", "fish"};
  return shells;
}

std::string completion(const std::vector<CommandSpec> &commands, const std::string &shell) {
  if (shell == "bash") return bash(commands);
  if (shell == "zsh") return zsh(commands);
  if (shell == "fish") return fish(commands);
  throw UsageError("there is no completion for \"" + shell + "\"; choose bash, zsh or fish");
}

} // namespace matrixos::ctl
