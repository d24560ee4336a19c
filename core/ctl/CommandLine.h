#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace matrixos::ctl {

/// Wrong arguments; what() says which and how it should be.
class UsageError : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// Words that nobody here knows.
class UnknownWord : public UsageError {
public:
  using UsageError::UsageError;
};

/// An option of a command, as "--user=ID" or "--user ID"; a flag takes no value.
struct OptionSpec {
  std::string name;     ///< without the dashes
  std::string argument; ///< what stands for the value in the help; empty for a flag
  std::string help;
  bool required = false;
};

struct Invocation;

/// One command: "containers provision HANDLE --user ID".
struct CommandSpec {
  std::vector<std::string> words;     ///< {"containers", "provision"}
  std::vector<std::string> arguments; ///< {"HANDLE"}; one in brackets may be left out, a last one with "…" repeated
  std::vector<OptionSpec> options;
  std::string help;                                ///< one sentence
  std::function<int(const Invocation &)> action{}; ///< carries it out; the exit code. Throws Failure and UsageError
  std::string owner{};                             ///< the plugin that declares it; empty for matrixosctl's own
  std::string lists{}; ///< the argument of other commands that what it prints with --quiet can be; may be empty
  std::string needs{}; ///< the option of every command that it does nothing without; may be empty
};

/// Options that every command takes.
const std::vector<OptionSpec> &globalOptions();

/// What was typed.
struct Invocation {
  std::shared_ptr<const CommandSpec> command; ///< null: only help or version was asked for
  std::vector<std::string> arguments;
  std::map<std::string, std::string> options; ///< by name; flags have the value ""

  bool has(const std::string &option) const { return options.count(option) != 0; }
  std::string get(const std::string &option, const std::string &fallback = {}) const;
};

/// Throws UsageError, with the nearest command or option when a word is unknown. Of commands that begin with the same
/// words the longest is meant; what stands behind "--" is an argument.
Invocation parse(const std::vector<CommandSpec> &commands, const std::vector<std::string> &words);

/// Help for the program, a group of commands ("containers") or one command.
std::string helpFor(const std::vector<CommandSpec> &commands, const std::vector<std::string> &words);

/// The words with blanks between them.
std::string joined(const std::vector<std::string> &words);

/// "a, b, c"; with `last`, "a, b or c".
std::string listed(const std::vector<std::string> &words, const std::string &last = {});

/// "containers provision HANDLE --user ID"
std::string synopsis(const CommandSpec &command);

/// The program's exit codes and what they mean.
const std::vector<std::pair<int, std::string>> &exitCodes();

} // namespace matrixos::ctl
