#include "common/CommandDescription.h"

#include "common/CommandCheck.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>

namespace matrixos::common {

namespace {

constexpr std::size_t kMostText = 512;
constexpr std::uint32_t kMostCommands = 64, kMostOptions = 32;

[[noreturn]] void refuse(const std::string &what) {
  throw Error(Status::FailedPrecondition, what, "PLUGIN_DESCRIPTOR");
}

std::string text(const char *value) {
  return value == nullptr ? std::string() : std::string(value, ::strnlen(value, kMostText + 1));
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// ":ago" and the like; "" for a value as it is.
CommandDescription::Column::Form formOf(std::string_view text) {
  using Form = CommandDescription::Column::Form;
  return text.empty()       ? Form::Plain
         : text == ":ago"   ? Form::Ago
         : text == ":count" ? Form::Count
         : text == ":usd"   ? Form::Usd
         : text == ":bar"   ? Form::Bar
                            : Form::Unknown;
}

/// Checks each, and all of one plugin beside each other.
std::vector<CommandDescription> checked(std::vector<CommandDescription> commands) {
  for (auto at = commands.begin(); at != commands.end(); ++at) {
    checkCommand(*at);
    const auto words = at->wordList();
    if (std::any_of(commands.begin(), at, [&](const auto &other) { return other.wordList() == words; }))
      refuse("there are two commands \"" + at->words + "\"");
  }
  return commands;
}

/// By which name each text goes in JSON.
template <typename Command, typename Function>
void forEachText(Command &command, const Function &function) {
  function("words", command.words);
  function("arguments", command.arguments);
  function("help", command.help);
  function("method", command.method);
  function("path", command.path);
  function("body", command.body);
  function("columns", command.columns);
  function("done", command.done);
  function("confirm", command.confirm);
  function("progress", command.progress);
}

std::uint32_t flagsOf(const json::Object &object) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(json::getInt(object, "flags", 0), 0, UINT32_MAX));
}

CommandDescription copied(const mos_command &from) {
  CommandDescription command;
  command.words = text(from.words);
  command.arguments = text(from.arguments);
  command.help = text(from.help);
  command.method = text(from.method);
  command.path = text(from.path);
  command.body = text(from.body);
  command.columns = text(from.columns);
  command.done = text(from.done);
  command.confirm = text(from.confirm);
  command.progress = text(from.progress);
  command.flags = from.flags;
  if (from.options_count > kMostOptions || (from.options_count > 0 && from.options == nullptr))
    refuse("the options of a command are null, or more than 32");
  for (std::uint32_t i = 0; i < from.options_count; ++i) {
    const mos_command_option &option = from.options[i];
    command.options.push_back({text(option.name), text(option.argument), text(option.help), option.flags});
  }
  return command;
}

} // namespace

std::string CommandDescription::Option::member() const {
  std::string member;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '-') continue;
    const bool capital = i > 0 && name[i - 1] == '-';
    member += capital ? static_cast<char>(std::toupper(static_cast<unsigned char>(name[i]))) : name[i];
  }
  return member;
}

std::vector<std::string> CommandDescription::wordList() const {
  return split(words);
}

std::vector<CommandDescription::Argument> CommandDescription::argumentList() const {
  std::vector<Argument> list;
  for (const std::string &word : split(arguments)) {
    const bool optional = word.size() > 2 && word.front() == '[' && word.back() == ']';
    list.push_back({optional ? word.substr(1, word.size() - 2) : word, optional});
  }
  return list;
}

std::string CommandDescription::listMember() const {
  const auto parts = split(columns);
  if (parts.empty() || parts[0].size() < 2 || parts[0].substr(parts[0].size() - 2) != "[]") return {};
  return parts[0].substr(0, parts[0].size() - 2);
}

std::vector<CommandDescription::Column> CommandDescription::columnList() const {
  std::vector<Column> list;
  auto parts = split(columns);
  if (!listMember().empty()) parts.erase(parts.begin());
  for (const std::string &part : parts) {
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::size_t colon = std::min(part.find(':', equals), part.size());
    const std::size_t member = std::min(equals + 1, colon);
    Column column{part.substr(0, equals), part.substr(member, colon - member), formOf(part.substr(colon))};
    std::replace(column.title.begin(), column.title.end(), '_', ' ');
    list.push_back(std::move(column));
  }
  return list;
}

const CommandDescription::Option *CommandDescription::findOption(std::string_view name) const noexcept {
  const auto at = std::find_if(options.begin(), options.end(), [&](const Option &o) { return o.name == name; });
  return at == options.end() ? nullptr : &*at;
}

std::string CommandDescription::pathWith(bool bracketed) const {
  const std::size_t open = path.find('['), close = path.find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return path;
  return path.substr(0, open) + (bracketed ? path.substr(open + 1, close - open - 1) : "") + path.substr(close + 1);
}

bool CommandDescription::beginsLike(const CommandDescription &other) const {
  const auto mine = wordList(), others = other.wordList();
  return std::equal(mine.begin(), mine.begin() + static_cast<std::ptrdiff_t>(std::min(mine.size(), others.size())),
                    others.begin());
}

std::vector<CommandDescription> CommandDescription::readAll(const mos_descriptor_v1 &descriptor) {
  std::vector<CommandDescription> all;
  if (descriptor.struct_size < offsetof(mos_descriptor_v1, claims) || descriptor.commands_count == 0) return all;
  if (descriptor.commands == nullptr || descriptor.commands_count > kMostCommands)
    refuse("the descriptor's commands are null, or more than 64");
  for (std::uint32_t i = 0; i < descriptor.commands_count; ++i)
    all.push_back(copied(descriptor.commands[i]));
  return checked(std::move(all));
}

std::vector<CommandDescription> CommandDescription::readAll(const json::Array &array) {
  std::vector<CommandDescription> all;
  if (array.size() > kMostCommands) refuse("there are more than 64 commands");
  for (unsigned i = 0; i < array.size(); ++i) {
    const json::Object::Ptr object = array.getObject(i);
    if (!object) throw Error(Status::InvalidArgument, "a command is no object", "BAD_FIELD");
    all.push_back(fromJson(*object));
  }
  return checked(std::move(all));
}

json::Object::Ptr CommandDescription::toJson() const {
  json::Object::Ptr object = json::object({});
  forEachText(*this, [&](const char *name, const std::string &text) {
    if (!text.empty()) object->set(name, text);
  });
  if (flags != 0) object->set("flags", flags);
  if (foreign) object->set("foreign", true);
  if (options.empty()) return object;
  json::Array::Ptr list = new json::Array;
  for (const Option &option : options)
    list->add(json::object(
        {{"name", option.name}, {"argument", option.argument}, {"help", option.help}, {"flags", option.flags}}));
  object->set("options", list);
  return object;
}

CommandDescription CommandDescription::fromJson(const json::Object &object) {
  CommandDescription command;
  forEachText(command,
              [&](const char *name, std::string &text) { text = json::findString(object, name).value_or(""); });
  command.flags = flagsOf(object);
  command.foreign = object.optValue<bool>("foreign", false);
  const json::Array::Ptr list = json::findArray(object, "options");
  for (unsigned i = 0; list && i < list->size(); ++i) {
    const json::Object::Ptr option = list->getObject(i);
    if (!option || i == kMostOptions) throw json::badField("options", "at most 32 objects");
    const auto text = [&](const char *name) { return json::findString(*option, name).value_or(""); };
    command.options.push_back({text("name"), text("argument"), text("help"), flagsOf(*option)});
  }
  return command;
}

mos_command CommandDescription::abi(std::vector<mos_command_option> &list) const {
  for (const Option &option : options)
    list.push_back({option.name.c_str(), option.argument.c_str(), option.help.c_str(), option.flags, 0});
  return {words.c_str(),
          arguments.c_str(),
          help.c_str(),
          method.c_str(),
          path.c_str(),
          body.c_str(),
          columns.c_str(),
          done.c_str(),
          confirm.c_str(),
          progress.c_str(),
          list.data(),
          static_cast<std::uint32_t>(list.size()),
          flags};
}

std::string fillTemplate(std::string_view text, const std::function<std::string(const std::string &name)> &valueOf) {
  std::string filled;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t brace = std::min(text.find_first_of("{}", at), text.size());
    filled += text.substr(at, brace - at);
    if (brace == text.size()) break;
    const std::size_t end = text.find_first_of("{}", brace + 1);
    if (text[brace] == '}' || end == std::string_view::npos || text[end] != '}' || end == brace + 1)
      throw Error(Status::InvalidArgument, "a brace that belongs to no {NAME}", "BAD_TEMPLATE");
    filled += valueOf(std::string(text.substr(brace + 1, end - brace - 1)));
    at = end + 1;
  }
  return filled;
}

} // namespace matrixos::common
