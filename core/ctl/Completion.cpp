#include "ctl/Completion.h"

#include <map>

namespace matrixos::ctl {

namespace {

/// What completes the arguments of a command: a command that prints words, or files.
struct Source {
  const char *words; ///< null: none
  bool files;
};

Source sourceOf(const CommandSpec &command) {
  const std::string argument = command.arguments.empty() ? "" : command.arguments.front();
  const bool plugin = argument.find("ID") != std::string::npos;
  return {argument == "HANDLE" ? "matrixosctl containers list --quiet 2>/dev/null"
          : plugin             ? "matrixosctl plugins list --quiet 2>/dev/null"
                               : nullptr,
          argument.find("FILE") != std::string::npos};
}

bool takesFile(const OptionSpec &option) {
  return option.argument == "FILE" || option.argument == "DIR";
}

/// In single quotes, for any of the shells.
std::string quoted(const std::string &text, const char *quote = "'\\''") {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? quote : std::string(1, c);
  return out + "'";
}

/// First words with what follows them: {"status": [command], "containers": [commands…]}.
std::map<std::string, std::vector<const CommandSpec *>> grouped(const std::vector<CommandSpec> &commands) {
  std::map<std::string, std::vector<const CommandSpec *>> groups;
  for (const CommandSpec &command : commands)
    groups[command.words[0]].push_back(&command);
  return groups;
}

/// A group's help: that of its only command, or its second words.
std::string helpOf(const std::vector<const CommandSpec *> &group) {
  if (group.front()->words.size() == 1) return group.front()->help;
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
    std::string seconds;
    for (const CommandSpec *command : group) {
      if (command->words.size() > 1) seconds += " " + command->words[1];
      const std::string words = quoted(joined(command->words));
      if (!command->options.empty()) {
        own += "    " + words + ") opts+='";
        for (const OptionSpec &option : command->options)
          own += " --" + option.name;
        own += "';;\n";
      }
      const Source source = sourceOf(*command);
      if (source.words == nullptr && !source.files) continue;
      arguments += "    " + words + ") COMPREPLY=(";
      if (source.words != nullptr) arguments += "$(compgen -W \"$(" + std::string(source.words) + ")\" -- \"$cur\")";
      arguments += std::string(source.files ? " $(compgen -f -- \"$cur\")" : "") + ");;\n";
    }
    if (!seconds.empty()) groups += "      " + first + ") COMPREPLY=($(compgen -W '" + seconds + "' -- \"$cur\"));;\n";
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
    std::string seconds;
    for (const CommandSpec *command : group) {
      if (command->words.size() > 1) seconds += described(command->words[1], command->help);
      const std::string words = quoted(joined(command->words));
      if (!command->options.empty()) {
        own += "      " + words + ") options+=(";
        for (const OptionSpec &option : command->options)
          own += described("--" + option.name, option.help);
        own += ");;\n";
      }
      const Source source = sourceOf(*command);
      if (source.words == nullptr && !source.files) continue;
      arguments += "    " + words + ")";
      if (source.words != nullptr) arguments += " compadd -- ${(f)\"$(" + std::string(source.words) + ")\"};";
      arguments += source.files ? " _files;;\n" : ";\n";
    }
    if (!seconds.empty()) groups += "      " + first + ") found=(" + seconds + ");;\n";
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
  const auto quote = [](const std::string &text) { return quoted(text, "\\'"); };
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
      }
      for (const OptionSpec &spec : command->options)
        text += option(spec, " -n " + quote(inCommand));
      const Source source = sourceOf(*command);
      if (source.files) text += "complete -c matrixosctl -n " + quote(inCommand) + " -F\n";
      if (source.words != nullptr)
        text += "complete -c matrixosctl -n " + quote(inCommand) + " -a " +
                quote("(" + std::string(source.words) + ")") + "\n";
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
