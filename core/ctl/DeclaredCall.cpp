#include "ctl/DeclaredCall.h"

#include "ctl/DaemonClient.h"
#include "ctl/DeclaredTable.h"
#include "ctl/Output.h"
#include "ctl/Progress.h"
#include "ctl/Table.h"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iostream>
#include <memory>

namespace matrixos::ctl {

namespace {

using common::CommandDescription;
using Option = CommandDescription::Option;

/// A number as JSON has it; empty for what is none.
json::Value numberOf(const std::string &text) {
  const char *end = text.data() + text.size();
  std::int64_t whole = 0;
  if (const auto read = std::from_chars(text.data(), end, whole); read.ec == std::errc() && read.ptr == end)
    return json::Value(static_cast<Poco::Int64>(whole));
  double number = 0;
  if (const auto read = std::from_chars(text.data(), end, number, std::chars_format::fixed);
      read.ec == std::errc() && read.ptr == end && std::isfinite(number))
    return json::Value(number);
  return {};
}

// A Var converts to whatever it is asked for, an optional too.
std::optional<json::Value> some(const json::Value &value) {
  return std::optional<json::Value>(std::in_place, value);
}

/// JSON of any kind, also a bare word or number, which Poco reads only within something; nothing for other text.
std::optional<json::Value> parsed(std::string_view text) {
  try {
    const auto list = json::parse("[" + std::string(text) + "]").extract<json::Array::Ptr>();
    return list->size() == 1 ? some(list->get(0)) : std::nullopt;
  } catch (const Error &) {
    return std::nullopt;
  }
}

/// One call of a declared command.
class DeclaredCall {
public:
  DeclaredCall(const CommandDescription &command, const Invocation &invocation)
      : command_(command), invocation_(invocation), arguments_(command.argumentList()) {}

  int run(const DeclaringPlugin &plugin) {
    checkNumbers();
    if (invocation_.has("csv") && invocation_.has("json") && command_.has(MOS_COMMAND_CSV))
      throw UsageError("--csv and --json are two ways to print the same");
    const bool all = invocation_.arguments.size() == arguments_.size();
    const std::string target = targetOf(command_.pathWith(all), true), body = bodyText();
    confirm();
    const DaemonClient client(invocation_);
    if (!plugin.enabled) requireEnabled(client, plugin.id);
    if (command_.foreign) requireRunning(client, plugin.id);
    try {
      carryOut(client, target, body);
    } catch (const Failure &failure) {
      if (failure.reason() != "NO_ROUTE") throw;
      throw Failure(failure.exitCode(),
                    "the platform at " + client.endpoint() + " has no command \"" + command_.words + "\": its plugin " +
                        plugin.id + " does not run" + (client.isSocket() ? "" : ", or this is not the API's address"),
                    failure.reason());
    }
    return 0;
  }

private:
  void carryOut(const DaemonClient &client, const std::string &target, const std::string &body) const {
    if (command_.has(MOS_COMMAND_STREAM) || asksForCsv()) {
      client.stream(command_.method, target, body, [&](std::string_view line) {
        showLine(line);
        return std::cout.flush().good();
      });
      return;
    }
    std::unique_ptr<Progress> progress;
    if (!command_.progress.empty())
      progress = std::make_unique<Progress>(client, targetOf(command_.progress, false), subject());
    const auto patience = std::chrono::milliseconds{command_.has(MOS_COMMAND_LONG) ? 0 : 120'000};
    const std::string answer = client.call(command_.method, target, body, patience);
    progress.reset();
    try {
      show(answer);
    } catch (const Poco::Exception &e) {
      throw Failure(EX_UNAVAILABLE, improper(client) + e.displayText());
    } catch (const Error &e) {
      throw Failure(EX_UNAVAILABLE, improper(client) + e.what());
    }
  }

  bool asksForCsv() const { return command_.has(MOS_COMMAND_CSV) && invocation_.has("csv"); }

  static std::string improper(const DaemonClient &client) {
    return "the answer of the daemon at " + client.endpoint() + " is not what the command's plugin declares: ";
  }

  /// What the command is about, in front of its progress.
  std::string subject() const { return invocation_.arguments.empty() ? command_.words : invocation_.arguments.front(); }

  /// Of an argument or an option; empty when it was not given, or is neither.
  std::optional<std::string> valueOf(const std::string &name) const {
    if (name.rfind("--", 0) == 0) {
      const std::string option = name.substr(2);
      return invocation_.has(option) ? std::optional(invocation_.get(option)) : std::nullopt;
    }
    for (std::size_t i = 0; i < arguments_.size() && i < invocation_.arguments.size(); ++i) {
      if (arguments_[i].name == name) return invocation_.arguments[i];
    }
    return std::nullopt;
  }

  void checkNumbers() const {
    for (const Option &option : command_.options) {
      if (!option.has(MOS_OPTION_NUMBER) || !invocation_.has(option.name)) continue;
      const std::string value = invocation_.get(option.name);
      if (numberOf(value).isEmpty()) throw UsageError("--" + option.name + " takes a number, not \"" + value + "\"");
    }
  }

  std::string targetOf(const std::string &path, bool withQuery) const {
    const std::size_t query = std::min(path.find('?'), path.size());
    std::string target = common::fillTemplate(path.substr(0, query), [&](const std::string &name) {
      const std::string value = valueOf(name).value_or("");
      // Whoever reads the path takes these for something else than a name.
      if (value.empty() || value == "." || value == "..")
        throw UsageError("\"" + command_.words + "\" cannot have \"" + value + "\" as " + name);
      return http::percentEncode(value);
    });
    target += common::fillTemplate(
        path.substr(query), [&](const std::string &name) { return http::percentEncode(valueOf(name).value_or("")); });
    for (const Option &option : command_.options) {
      if (!withQuery || !option.has(MOS_OPTION_QUERY) || !invocation_.has(option.name)) continue;
      const std::string value = option.isFlag() ? "true" : invocation_.get(option.name);
      target +=
          (target.find('?') == std::string::npos ? "?" : "&") + option.member() + "=" + http::percentEncode(value);
    }
    if (withQuery && asksForCsv())
      target += (target.find('?') == std::string::npos ? "?" : "&") + std::string("format=csv");
    return target;
  }

  json::Value jsonOf(const Option &option) const {
    if (option.isFlag()) return json::Value(invocation_.has(option.name));
    const std::string value = invocation_.get(option.name);
    return option.has(MOS_OPTION_NUMBER) ? numberOf(value) : json::Value(value);
  }

  std::string bodyText() const {
    json::Object::Ptr body;
    if (!command_.body.empty()) body = filledObject(*json::parseObject(command_.body));
    for (const Option &option : command_.options) {
      if (!option.has(MOS_OPTION_BODY) || !invocation_.has(option.name)) continue;
      if (!body) body = json::object({});
      body->set(option.member(), jsonOf(option));
    }
    return body ? json::dump(*body) : "";
  }

  json::Object::Ptr filledObject(const json::Object &from) const {
    json::Object::Ptr made = json::object({});
    for (const auto &[name, value] : from) {
      if (const auto filled = filledValue(value)) made->set(name, *filled);
    }
    return made;
  }

  /// Nothing for a placeholder that has no value.
  std::optional<json::Value> filledValue(const json::Value &value) const {
    if (value.type() == typeid(json::Object::Ptr)) return some(filledObject(*value.extract<json::Object::Ptr>()));
    if (value.type() == typeid(json::Array::Ptr)) {
      json::Array::Ptr made = new json::Array;
      for (const json::Value &item : *value.extract<json::Array::Ptr>()) {
        if (const auto filled = filledValue(item)) made->add(*filled);
      }
      return some(made);
    }
    if (!value.isString()) return some(value);
    const std::string text = value.convert<std::string>();
    if (text.size() > 2 && text.front() == '{' && text.find('}') == text.size() - 1) {
      const std::string name = text.substr(1, text.size() - 2);
      const Option *option = name.rfind("--", 0) == 0 ? command_.findOption(name.substr(2)) : nullptr;
      if (option != nullptr && (option->isFlag() || invocation_.has(option->name))) return some(jsonOf(*option));
      const auto given = valueOf(name);
      return given ? some(*given) : std::nullopt;
    }
    return some(common::fillTemplate(text, [&](const std::string &name) { return valueOf(name).value_or(""); }));
  }

  void confirm() const {
    if (command_.confirm.empty() || invocation_.has("yes")) return;
    if (::isatty(STDIN_FILENO) != 1)
      throw UsageError("nobody can be asked here: \"" + command_.words + "\" needs --yes; nothing was changed");
    const bool named = !invocation_.arguments.empty();
    std::string what = named ? "the " + arguments_.front().name : "yes";
    std::transform(what.begin(), what.end(), what.begin(), [](unsigned char c) { return std::tolower(c); });
    const std::string expected = named ? invocation_.arguments.front() : "yes";
    std::cerr << printable(filledSentence(command_.confirm, nullptr)) << " Type " << what << " to confirm: ";
    std::string typed;
    if (!std::getline(std::cin, typed) || typed != expected) throw Failure(1, "not confirmed; nothing was changed");
  }

  std::string filledSentence(const std::string &sentence, const json::Object *answer) const {
    return common::fillTemplate(sentence, [&](const std::string &name) {
      const auto value = valueOf(name);
      if (value || answer == nullptr) return value.value_or("");
      return answer->has(name) && answer->isNull(name) ? "none" : memberText(*answer, name);
    });
  }

  /// One that the configuration does not enable may have been enabled at run time.
  void requireEnabled(const DaemonClient &client, const std::string &plugin) const {
    try {
      const auto report = json::parseObject(client.call("GET", "/plugins/" + http::percentEncode(plugin)));
      if (report->optValue<bool>("enabled", false)) return;
    } catch (const std::exception &) { // NOLINT(bugprone-empty-catch): then the configuration is all there is
    }
    throw Failure(EX_CONFIG, "\"" + command_.words + "\" is a command of the plugin " + plugin +
                                 ", which is not enabled: matrixosctl plugins enable " + plugin +
                                 " starts it, [plugins] enabled keeps it so");
  }

  /// The daemon knows whose path it is, and runs no plugin whose commands call what they should not.
  void requireRunning(const DaemonClient &client, const std::string &plugin) const {
    const auto report = json::parseObject(client.call("GET", "/plugins/" + http::percentEncode(plugin)));
    if (json::getString(*report, "state") == "running") return;
    throw Failure(EX_CONFIG, "\"" + command_.words + "\" calls " + command_.path + ", which is no path of its plugin " +
                                 plugin +
                                 ", and that does not run: " + json::findString(*report, "reason").value_or(""));
  }

  void showLine(std::string_view line) const {
    if (!invocation_.has("json")) {
      std::cout << printable(std::string(line)) << '\n';
      return;
    }
    std::cout << json::dump(parsed(line).value_or(json::Value(cleanUtf8(line)))) << '\n';
  }

  void show(const std::string &answer) const {
    if (invocation_.has("json")) return showJson(answer);
    if (!command_.columns.empty()) return printTable(command_, json::parse(answer), invocation_.has("quiet"));
    if (!command_.done.empty()) {
      const json::Object::Ptr object = answer.empty() ? json::object({}) : json::parseObject(answer);
      std::cout << printable(filledSentence(command_.done, object.get())) << '\n';
      return;
    }
    showAll(answer);
  }

  void showJson(const std::string &answer) const {
    if (answer.empty())
      std::cout << "null\n";
    else
      std::cout << (parsed(answer) ? answer : json::dump(json::Value(cleanUtf8(answer)))) << '\n';
  }

  /// Whatever it is: the members of an object, the items of a list, the lines of a text.
  static void showAll(const std::string &answer) {
    const auto given = parsed(answer);
    if (!given) {
      std::istringstream lines(answer);
      for (std::string line; std::getline(lines, line);)
        std::cout << printable(line) << '\n';
      return;
    }
    const json::Value &value = *given;
    if (value.type() == typeid(json::Object::Ptr)) return printFields(*value.extract<json::Object::Ptr>());
    if (value.type() != typeid(json::Array::Ptr)) {
      std::cout << printable(shown(value)) << '\n';
      return;
    }
    for (const json::Value &item : *value.extract<json::Array::Ptr>())
      std::cout << printable(shown(item)) << '\n';
  }

  const CommandDescription &command_;
  const Invocation &invocation_;
  const std::vector<CommandDescription::Argument> arguments_;
};

} // namespace

CommandSpec declaredCommand(const DeclaringPlugin &plugin, const CommandDescription &command) {
  CommandSpec spec;
  spec.words = command.wordList();
  for (const auto &argument : command.argumentList())
    spec.arguments.push_back(argument.optional ? "[" + argument.name + "]" : argument.name);
  for (const Option &option : command.options)
    spec.options.push_back({option.name, option.argument, option.help, option.has(MOS_OPTION_REQUIRED)});
  if (!command.columns.empty()) spec.options.push_back({"quiet", "", "print the names alone"});
  if (command.has(MOS_COMMAND_CSV)) spec.options.push_back({"csv", "", "print CSV, with a line of headings"});
  if (!command.confirm.empty()) spec.options.push_back({"yes", "", "do not ask"});
  spec.help = command.help + (plugin.enabled ? "" : " (" + plugin.id + " is not enabled)");
  spec.owner = plugin.id;
  const auto needed = [](const Option &option) { return option.has(MOS_OPTION_REQUIRED); };
  if (!command.columns.empty() && (spec.arguments.empty() || spec.arguments.front().front() == '[') &&
      std::none_of(command.options.begin(), command.options.end(), needed))
    spec.lists = command.columnList().front().title;
  spec.action = [command, from = DeclaringPlugin{plugin.id, plugin.enabled, {}}](const Invocation &invocation) {
    return DeclaredCall(command, invocation).run(from);
  };
  return spec;
}

} // namespace matrixos::ctl
