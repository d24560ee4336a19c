/// matrixos/command.hpp: commands of matrixosctl in C++, for matrixos::Descriptor::commands().
///
///     constexpr mos_command_option kListOptions[] = {
///         {"limit", "N", "at most so many", MOS_OPTION_QUERY | MOS_OPTION_NUMBER, 0}};
///     constexpr mos_command kCommands[] = {
///         matrixos::Command("hooks list", "What is to be sent", "GET", "/hooks")
///             .columns("ID=id TARGET=target AGE=createdAt:ago").options(kListOptions),
///         matrixos::Command("hooks drop", "Forgets one", "DELETE", "/hooks/{ID}")
///             .arguments("ID").confirm("This forgets {ID} for good.").done("{ID} is forgotten")};
#pragma once

#include <matrixos/abi/command.h>

#include <cstdint>

namespace matrixos {
inline namespace v1 {

/// Fluent maker of a mos_command, which says what each text means. Everything given to it has to be static.
class Command {
public:
  constexpr Command(const char *words, const char *help, const char *method, const char *path) {
    value_.words = words;
    value_.help = help;
    value_.method = method;
    value_.path = path;
  }
  constexpr Command &arguments(const char *names) { return value_.arguments = names, *this; }
  constexpr Command &body(const char *json) { return value_.body = json, *this; }
  constexpr Command &columns(const char *columns) { return value_.columns = columns, *this; }
  constexpr Command &done(const char *sentence) { return value_.done = sentence, *this; }
  constexpr Command &confirm(const char *sentence) { return value_.confirm = sentence, *this; }
  constexpr Command &progress(const char *path) { return value_.progress = path, *this; }
  template <std::uint32_t Count>
  constexpr Command &options(const mos_command_option (&list)[Count]) {
    value_.options = list;
    value_.options_count = Count;
    return *this;
  }
  /// May take as long as it takes.
  constexpr Command &takesLong() { return value_.flags |= MOS_COMMAND_LONG, *this; }
  /// The answer is shown as it comes.
  constexpr Command &streams() { return value_.flags |= MOS_COMMAND_STREAM, *this; }
  /// --csv asks for format=csv.
  constexpr Command &hasCsv() { return value_.flags |= MOS_COMMAND_CSV, *this; }
  constexpr operator mos_command() const { return value_; } // NOLINT(google-explicit-constructor): for arrays of them

private:
  mos_command value_{};
};

} // namespace v1
} // namespace matrixos
