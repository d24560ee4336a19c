#include "fuzz/commands/Checks.h"

#include "common/CommandDescription.h"

#include <matrixos/status.hpp>

#include <stdexcept>

namespace matrixos::common::fuzz {

namespace {

std::string textOf(const std::vector<CommandDescription> &commands) {
  json::Array all;
  for (const CommandDescription &command : commands)
    all.add(command.toJson());
  return json::dump(json::Value(all));
}

void check(const CommandDescription &command) {
  const auto expect = [](bool holds, const char *what) {
    if (!holds) throw std::logic_error(what);
  };
  const auto words = command.wordList();
  expect(words.size() == 1 || words.size() == 2, "the number of words");
  for (const std::string &word : words)
    expect(word.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos, "a word");
  for (const auto &option : command.options)
    expect(option.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos, "an option");
  for (const bool bracketed : {false, true}) {
    const std::string path = fillTemplate(command.pathWith(bracketed), [](const std::string &) { return "x"; });
    expect(path.front() == '/' && path.find_first_of(" \r\n\\#{}[]") == std::string::npos, "a path");
  }
  for (const std::string *sentence : {&command.done, &command.confirm, &command.progress})
    fillTemplate(*sentence, [](const std::string &) { return ""; });
  if (!command.body.empty()) json::parseObject(command.body);
  expect(command.columns.empty() == command.columnList().empty(), "columns");
  for (const auto &column : command.columnList())
    expect(column.form != CommandDescription::Column::Form::Unknown, "a column");
}

} // namespace

void checkCommands(std::string_view json) {
  std::vector<CommandDescription> commands;
  try {
    const json::Value value = json::parse(json);
    if (value.type() != typeid(json::Array::Ptr)) return;
    commands = CommandDescription::readAll(*value.extract<json::Array::Ptr>());
  } catch (const Error &) {
    return;
  }
  std::vector<std::vector<mos_command_option>> options(commands.size());
  std::vector<mos_command> abi;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    check(commands[i]);
    for (std::size_t j = 0; j < i; ++j)
      if (commands[j].wordList() == commands[i].wordList()) throw std::logic_error("the same words twice");
    commands[i].foreign = false; // found out, not declared: the ABI has no such field
    abi.push_back(commands[i].abi(options[i]));
  }
  mos_descriptor_v1 descriptor{};
  descriptor.struct_size = sizeof descriptor;
  descriptor.commands = abi.data();
  descriptor.commands_count = static_cast<std::uint32_t>(abi.size());
  if (textOf(CommandDescription::readAll(descriptor)) != textOf(commands))
    throw std::logic_error("commands changed on their way");
}

} // namespace matrixos::common::fuzz
