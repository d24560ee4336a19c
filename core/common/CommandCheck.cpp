#include "common/CommandCheck.h"

#include <matrixos/status.hpp>
#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <set>

namespace matrixos::common {

namespace {

constexpr std::size_t kMostText = 512, kMostName = 32, kMostArguments = 8, kMostColumns = 16;
/// Of every command, or of those with columns or confirm.
constexpr std::string_view kTakenOptions[] = {"config", "api",     "secret-file", "json",
                                              "help",   "version", "yes",         "quiet"};

bool isIn(char c, char first, char last) {
  return c >= first && c <= last;
}

/// [a-z][a-z0-9-]*
bool isWord(std::string_view text) {
  return !text.empty() && text.size() <= kMostName && isIn(text[0], 'a', 'z') &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return isIn(c, 'a', 'z') || isIn(c, '0', '9') || c == '-'; });
}

/// [A-Z][A-Z0-9_-]*
bool isName(std::string_view text) {
  return !text.empty() && text.size() <= kMostName && isIn(text[0], 'A', 'Z') &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return isIn(c, 'A', 'Z') || isIn(c, '0', '9') || c == '_' || c == '-'; });
}

/// Names of members with dots between them.
bool isMember(std::string_view text) {
  const auto plain = [](char c) {
    return isIn(c, 'a', 'z') || isIn(c, 'A', 'Z') || isIn(c, '0', '9') || c == '_' || c == '-';
  };
  return !text.empty() && text.front() != '.' && text.back() != '.' && text.find("..") == std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '.'; });
}

/// UTF-8 that cannot drive a terminal.
bool isClean(std::string_view text) {
  if (!isUtf8(text)) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F are controls, too.
    if (c < 0x20 || c == 0x7f || (c == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0)) return false;
  }
  return true;
}

bool takesBody(const std::string &method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

/// Looks at one command.
class Checker {
public:
  explicit Checker(const CommandDescription &command) : command_(command) {}

  void check() {
    checkTexts();
    checkWords();
    checkArguments();
    for (const CommandDescription::Option &option : command_.options)
      checkOption(option);
    checkTarget();
    checkBody();
    checkColumns();
    checkSentences();
    checkUse();
  }

private:
  using Option = CommandDescription::Option;
  using Argument = CommandDescription::Argument;
  enum class Known { Always, Maybe, Never };

  [[noreturn]] void refuseIt(const std::string &what) const {
    throw Error(Status::FailedPrecondition,
                "the command \"" + (isClean(command_.words) ? command_.words : std::string("?")) + "\" " + what,
                "PLUGIN_DESCRIPTOR");
  }

  void checkText(const std::string &text, const char *what) const {
    if (text.size() > kMostText) refuseIt(std::string("has a ") + what + " of more than 512 bytes");
    if (!isClean(text)) refuseIt(std::string("has a ") + what + " with control characters, or that is no UTF-8");
  }

  void checkTexts() const {
    const std::pair<const std::string *, const char *> texts[] = {
        {&command_.words, "words"},     {&command_.arguments, "list of arguments"},
        {&command_.help, "help"},       {&command_.method, "method"},
        {&command_.path, "path"},       {&command_.body, "body"},
        {&command_.columns, "columns"}, {&command_.done, "done"},
        {&command_.confirm, "confirm"}, {&command_.progress, "progress"}};
    for (const auto &[text, what] : texts)
      checkText(*text, what);
    for (const Option &option : command_.options) {
      for (const std::string *text : {&option.name, &option.argument, &option.help})
        checkText(*text, "text of an option");
    }
    if (command_.help.empty()) refuseIt("has no help");
  }

  void checkWords() const {
    const auto words = command_.wordList();
    if (words.empty() || words.size() > 2 || !std::all_of(words.begin(), words.end(), isWord))
      refuseIt("has to be one or two words of [a-z][a-z0-9-]*, each of at most 32 characters");
  }

  void checkArguments() {
    arguments_ = command_.argumentList();
    if (arguments_.size() > kMostArguments) refuseIt("has more than 8 arguments");
    for (auto at = arguments_.begin(); at != arguments_.end(); ++at) {
      if (!isName(at->name)) refuseIt("has an argument \"" + at->name + "\", which is not [A-Z][A-Z0-9_-]*");
      if (std::any_of(arguments_.begin(), at, [&](const Argument &a) { return a.name == at->name; }))
        refuseIt("has two arguments " + at->name);
      if (!at->optional && at != arguments_.begin() && std::prev(at)->optional)
        refuseIt("needs " + at->name + " after one that may be left out");
    }
  }

  void checkOption(const Option &option) const {
    const std::string name = "an option --" + option.name;
    if (!isWord(option.name)) refuseIt("has " + name + ", which is not [a-z][a-z0-9-]*");
    if (command_.has(MOS_COMMAND_CSV) && option.name == "csv") refuseIt("has " + name + " and MOS_COMMAND_CSV");
    if (std::find(std::begin(kTakenOptions), std::end(kTakenOptions), option.name) != std::end(kTakenOptions))
      refuseIt("has " + name + ", which is matrixosctl's own");
    if (command_.findOption(option.name) != &option) refuseIt("has " + name + " twice");
    if (!option.isFlag() && !isName(option.argument))
      refuseIt("has " + name + " with a value \"" + option.argument + "\", which is not [A-Z][A-Z0-9_-]*");
    if (option.help.empty()) refuseIt("has " + name + " without help");
    if (option.isFlag() && option.has(MOS_OPTION_REQUIRED | MOS_OPTION_NUMBER))
      refuseIt("has " + name + ", a flag that is required or a number");
    if (option.has(MOS_OPTION_QUERY) && option.has(MOS_OPTION_BODY))
      refuseIt("has " + name + ", which goes into the query and the body");
    if (option.has(MOS_OPTION_BODY) && !takesBody(command_.method))
      refuseIt("has " + name + " for a body, and " + command_.method + " has none");
  }

  void checkTarget() {
    static const std::set<std::string> methods{"GET", "POST", "PUT", "PATCH", "DELETE"};
    if (methods.count(command_.method) == 0) refuseIt("has a method that is none of GET, POST, PUT, PATCH, DELETE");
    if (command_.has(MOS_COMMAND_CSV) && (command_.method != "GET" || command_.has(MOS_COMMAND_STREAM)))
      refuseIt("has MOS_COMMAND_CSV, which is for GET and not beside MOS_COMMAND_STREAM");
    checkPath(command_.pathWith(false), "path");
    if (command_.hasBrackets()) checkPath(command_.pathWith(true), "path", optionalInPath());
    if (!command_.progress.empty()) checkPath(command_.progress, "progress");
  }

  /// "/usage[/{HANDLE}]": there may be one such part, for a last argument that may be left out.
  /// Gives its name.
  std::string optionalInPath() const {
    const std::string &path = command_.path;
    const std::size_t open = path.find('['), close = std::min(path.find(']'), path.size());
    const std::string name = arguments_.empty() || !arguments_.back().optional ? "" : arguments_.back().name;
    const bool isThere = path.substr(0, close).find("{" + name + "}", open) != std::string::npos;
    if (name.empty() || !isThere || close > path.find('?') || path.compare(open, 2, "[/") != 0)
      refuseIt("has a path with brackets, which are for a part like [/{NAME}] with the last argument, if that may be "
               "left out");
    return name;
  }

  /// `also`: the argument that is always there where this path is used.
  void checkPath(const std::string &path, const char *what, const std::string &also = {}) {
    const bool plain = std::all_of(path.begin(), path.end(), [](char c) {
      return isIn(c, '!', '~') && std::string_view("\"#<>[]\\^`|").find(c) == std::string_view::npos;
    });
    if (path.empty() || path[0] != '/' || path.rfind("//", 0) == 0 || !plain)
      refuseIt(std::string("has a ") + what + " that does not begin with one slash, or has characters that no URL has");
    fill(path, what, [&](const std::string &name) {
      if (known(name) != Known::Always && (also.empty() || name != also))
        refuseIt(std::string("has a ") + what + " with {" + name +
                 "}, which is no argument or option that has to be given");
    });
  }

  void checkBody() {
    if (command_.body.empty()) return;
    if (!takesBody(command_.method)) refuseIt("has a body, and " + command_.method + " has none");
    try {
      checkValue(json::Value(json::parseObject(command_.body)));
    } catch (const Error &e) {
      if (e.status() == Status::FailedPrecondition) throw;
      refuseIt(std::string("has a body that is no JSON object: ") + e.what());
    }
  }

  void checkValue(const json::Value &value) {
    if (value.type() == typeid(json::Object::Ptr)) {
      for (const auto &[name, member] : *value.extract<json::Object::Ptr>())
        checkValue(member);
    } else if (value.type() == typeid(json::Array::Ptr)) {
      for (const json::Value &item : *value.extract<json::Array::Ptr>())
        checkValue(item);
    } else if (value.isString()) {
      fill(value.convert<std::string>(), "body", [&](const std::string &name) {
        if (known(name) == Known::Never)
          refuseIt("has a body with {" + name + "}, which is no argument or option of it");
      });
    }
  }

  void checkColumns() const {
    if (command_.columns.empty()) return;
    if (command_.has(MOS_COMMAND_STREAM)) refuseIt("has columns for an answer that is shown as it comes");
    const auto columns = command_.columnList();
    if (columns.empty() || columns.size() > kMostColumns) refuseIt("has to have 1 to 16 columns, or none");
    const std::string list = command_.listMember();
    if (!list.empty() && !isMember(list)) refuseIt("has columns of \"" + list + "\", which names no member");
    using Form = CommandDescription::Column::Form;
    for (const CommandDescription::Column &column : columns) {
      if (column.title.empty() || !isMember(column.member) || column.form == Form::Unknown)
        refuseIt("has a column that is not TITLE=member, or that with :ago, :count, :usd or :bar behind it");
      if (column.form == Form::Bar && (&column != &columns.back() || columns.size() == 1))
        refuseIt("has bars elsewhere than in a last column behind others");
    }
  }

  void checkSentences() {
    fill(command_.confirm, "confirm", [&](const std::string &name) {
      if (known(name) == Known::Never)
        refuseIt("has a confirm with {" + name + "}, which is no argument or option of it");
    });
    fill(command_.done, "done", [&](const std::string &name) {
      if (known(name) == Known::Never && !isMember(name))
        refuseIt("has a done with {" + name + "}, which names nothing");
    });
    if (!command_.done.empty() && command_.has(MOS_COMMAND_STREAM))
      refuseIt("has a done for an answer that is shown as it comes");
  }

  /// What is asked for and sent nowhere is a mistake.
  void checkUse() const {
    for (const Argument &argument : arguments_) {
      if (sent_.count(argument.name) == 0)
        refuseIt("has an argument " + argument.name + " that is not in path or body");
    }
    for (const Option &option : command_.options) {
      if (!option.has(MOS_OPTION_QUERY | MOS_OPTION_BODY) && sent_.count("--" + option.name) == 0)
        refuseIt("has an option --" + option.name + " that goes nowhere");
    }
  }

  void fill(const std::string &text, const std::string &what, const std::function<void(const std::string &)> &look) {
    try {
      fillTemplate(text, [&](const std::string &name) {
        look(name);
        if (what == "path" || what == "body") sent_.insert(name);
        return std::string();
      });
    } catch (const Error &e) {
      if (e.status() == Status::FailedPrecondition) throw;
      refuseIt("has a " + what + " with " + e.what());
    }
  }

  Known known(const std::string &name) const {
    if (name.rfind("--", 0) == 0) {
      const Option *option = command_.findOption(std::string_view(name).substr(2));
      return option == nullptr ? Known::Never : option->has(MOS_OPTION_REQUIRED) ? Known::Always : Known::Maybe;
    }
    for (const Argument &argument : arguments_) {
      if (argument.name == name) return argument.optional ? Known::Maybe : Known::Always;
    }
    return Known::Never;
  }

  const CommandDescription &command_;
  std::vector<Argument> arguments_;
  std::set<std::string> sent_; ///< placeholders of path and body
};

} // namespace

void checkCommand(const CommandDescription &command) {
  Checker(command).check();
}

} // namespace matrixos::common
