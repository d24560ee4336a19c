#include "ctl/Commands.h"

#include "ctl/DaemonClient.h"
#include "ctl/DeclaredCall.h"
#include "ctl/Output.h"
#include "ctl/OwnCommands.h"

#include <algorithm>

namespace matrixos::ctl {

namespace {

constexpr std::chrono::seconds kDaemonPatience{5};
constexpr std::size_t kDeclaredFrom = 1; ///< declared commands come after status

/// The value of a global option, wherever it stands among what was typed; empty when it is not there.
std::string typed(const std::vector<std::string> &words, const std::string &option) {
  for (std::size_t i = 0; i < words.size() && words[i] != "--"; ++i) {
    if (words[i].rfind(option + "=", 0) == 0) return words[i].substr(option.size() + 1);
    if (words[i] == option && i + 1 < words.size()) return words[i + 1];
  }
  return {};
}

} // namespace

Commands::Commands(std::vector<std::string> words)
    : words_(std::move(words)), list_(ownCommands(*this)), place_(kDeclaredFrom) {}

Invocation Commands::understand() {
  for (;;) {
    try {
      return parse(list_, words_);
    } catch (const UnknownWord &unknown) {
      if (addNext()) continue;
      blameDaemon(unknown);
      throw;
    } catch (const UsageError &) {
      if (!addNext()) throw;
    }
  }
}

void Commands::blameDaemon(const UnknownWord &unknown) const {
  const std::string sentence = unknown.what();
  if (!refusal_.empty())
    throw UsageError(sentence + (sentence.back() == '?' ? " The" : "; the") + " platform at " + elsewhere() +
                     " does not tell you which commands its plugins have: " + refusal_);
  if (daemonFailure_ && place_ == kDeclaredFrom) std::rethrow_exception(daemonFailure_);
}

std::string Commands::elsewhere() const {
  const std::string url = typed(words_, "--url");
  return url.empty() ? typed(words_, "--api") : url;
}

const std::vector<CommandSpec> &Commands::all() {
  for (bool more = true; more;) {
    try {
      more = addNext();
    } catch (const Failure &) {
      declarations_ = std::make_unique<Declarations>(Settings::read({}));
    }
  }
  return list_;
}

std::string Commands::help(const std::vector<std::string> &words) {
  try {
    return helpFor(all(), words);
  } catch (const UnknownWord &unknown) {
    blameDaemon(unknown);
    throw;
  }
}

bool Commands::addNext() {
  if (!declarations_) declarations_ = std::make_unique<Declarations>(Settings::read(typed(words_, "--config")));
  const bool isElsewhere = !elsewhere().empty();
  if (auto plugin = declarations_->next()) {
    if (isElsewhere) plugin->enabled = true; // the daemon there says so if it is not
    add(*plugin);
    return true;
  }
  if (askedDaemon_ || !isElsewhere) return false;
  askedDaemon_ = true;
  addOfDaemon();
  return true;
}

void Commands::add(const DeclaringPlugin &plugin) {
  for (const common::CommandDescription &command : plugin.commands) {
    if (!owners_.claim(plugin.id, command).empty()) continue;
    list_.insert(list_.begin() + static_cast<std::ptrdiff_t>(place_++), declaredCommand(plugin, command));
  }
}

void Commands::addOfDaemon() {
  try {
    Invocation only;
    for (const char *option : {"api", "url", "secret-file"}) {
      if (const std::string value = typed(words_, "--" + std::string(option)); !value.empty())
        only.options[option] = value;
    }
    const json::Value plugins = json::parse(DaemonClient(only).call("GET", "/plugins", {}, kDaemonPatience));
    for (const auto &plugin : objects(plugins)) {
      if (const auto commands = json::findArray(*plugin, "commands"))
        add({json::getString(*plugin, "id"), true, common::CommandDescription::readAll(*commands)});
    }
  } catch (const Failure &failure) {
    daemonFailure_ = std::current_exception();
    if (failure.reason() == "FORBIDDEN") refusal_ = failure.what();
  } catch (const std::exception &) {
    daemonFailure_ = std::current_exception();
  }
}

} // namespace matrixos::ctl
