#pragma once

#include <matrixos/abi/plugin.h>
#include <matrixos/json.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::common {

/// One command of matrixosctl as a plugin declares it, copied; see mos_command for what each text means. An absent text
/// is empty.
struct CommandDescription {
  struct Option {
    std::string name, argument, help;
    std::uint32_t flags = 0;

    bool has(std::uint32_t flag) const noexcept { return (flags & flag) != 0; }
    bool isFlag() const noexcept { return argument.empty(); }
    /// Under which its value goes into a query or a body: "olderThan".
    std::string member() const;
  };
  struct Argument {
    std::string name;
    bool optional = false;
  };
  struct Column {
    /// How the member is shown: as it is, or as the words behind its colon say.
    enum class Form : std::uint8_t { Plain, Ago, Count, Usd, Bar, Unknown };
    std::string title, member;
    Form form = Form::Plain;
  };

  std::string words, arguments, help, method, path, body, columns, done, confirm, progress;
  std::vector<Option> options;
  std::uint32_t flags = 0;
  bool foreign = false; ///< not declared: it calls a path that is not its plugin's own

  bool has(std::uint32_t flag) const noexcept { return (flags & flag) != 0; }
  std::vector<std::string> wordList() const;
  std::vector<Argument> argumentList() const;
  std::vector<Column> columnList() const;
  /// The member of the answer that is the list; empty when the answer is the list itself.
  std::string listMember() const;
  /// The path with what it has in brackets, or without that.
  std::string pathWith(bool bracketed) const;
  bool hasBrackets() const noexcept { return path.find('[') != std::string::npos; }
  /// Null when there is none of that name.
  const Option *findOption(std::string_view name) const noexcept;
  /// Whether one of them begins with all words of the other, or is the same.
  bool beginsLike(const CommandDescription &other) const;

  /// The commands of a descriptor, each with checkCommand() and beside the others; one of ABI 1.0 declares none. Throws
  /// Error(FailedPrecondition).
  static std::vector<CommandDescription> readAll(const mos_descriptor_v1 &descriptor);
  /// The same, which came here as JSON. Throws Error: FailedPrecondition, InvalidArgument.
  static std::vector<CommandDescription> readAll(const json::Array &array);
  /// The members have the names that they have here; absent texts are left out.
  json::Object::Ptr toJson() const;
  /// Not looked at any further. Throws Error(InvalidArgument) for members of other types.
  static CommandDescription fromJson(const json::Object &object);
  /// In the form of the ABI, borrowed from this and from `list`, which it fills.
  mos_command abi(std::vector<mos_command_option> &list) const;
};

/// The text with what `valueOf` gives for the name in place of each {name}. Throws Error(InvalidArgument) for a brace
/// that belongs to none.
std::string fillTemplate(std::string_view text, const std::function<std::string(const std::string &name)> &valueOf);

} // namespace matrixos::common
