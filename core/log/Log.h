/// Structured logging.
#pragma once

#include <matrixos/abi/host.h>

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace matrixos::log {

/// The numbers are those of the ABI; lower is graver.
enum class Level : std::uint32_t {
  Error = MOS_LOG_ERROR,
  Warning = MOS_LOG_WARNING,
  Info = MOS_LOG_INFO,
  Debug = MOS_LOG_DEBUG,
};

enum class Format {
  Human, ///< time, level, name, message, key=value; for people at a terminal
  Json,  ///< one object per line: time, level, logger, message, requestId, then the fields
};

/// A field of a message. Borrowed: lives for the call it is an argument of.
struct Field {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;

  Field(std::string_view name, std::string_view text) : key(name), value(text) {}
  Field(std::string_view name, const std::string &text) : key(name), value(std::string_view(text)) {}
  Field(std::string_view name, const char *text) : key(name), value(std::string_view(text)) {}
  Field(std::string_view name, bool flag) : key(name), value(flag) {}
  Field(std::string_view name, double number) : key(name), value(number) {}
  template <std::signed_integral Number>
  Field(std::string_view name, Number number) : key(name), value(static_cast<std::int64_t>(number)) {}
  template <std::unsigned_integral Number>
  Field(std::string_view name, Number number) : key(name), value(static_cast<std::uint64_t>(number)) {}
};

/// A named source of messages ("core.http", "proxy"). Cheap to copy; every function is thread-safe, never throws and
/// works before configure(), which starts from Info, human text and stderr. Lines are at most kLongestLine bytes; what
/// is beyond is cut and the line says so. A reader of stderr that stalls costs the program a quarter of a second once,
/// then lines are dropped and counted.
class Log {
public:
  explicit Log(std::string_view name) noexcept;

  void error(std::string_view message, std::initializer_list<Field> fields = {}) const noexcept {
    write(Level::Error, message, {fields.begin(), fields.size()});
  }
  void warning(std::string_view message, std::initializer_list<Field> fields = {}) const noexcept {
    write(Level::Warning, message, {fields.begin(), fields.size()});
  }
  void info(std::string_view message, std::initializer_list<Field> fields = {}) const noexcept {
    write(Level::Info, message, {fields.begin(), fields.size()});
  }
  void debug(std::string_view message, std::initializer_list<Field> fields = {}) const noexcept {
    write(Level::Debug, message, {fields.begin(), fields.size()});
  }
  void write(Level level, std::string_view message, std::span<const Field> fields) const noexcept;

  /// [loop] A message of this level would be kept.
  bool enabled(Level level) const noexcept;

private:
  friend class Registry;
  struct Source;
  const Source *source_;
};

constexpr std::size_t kLongestLine = std::size_t{16} << 10U;

struct Options {
  Format format = Format::Human;
  Level level = Level::Info;
  /// Levels of single loggers; "core" also covers "core.http".
  std::map<std::string, Level> levels;
  /// Where lines go. Borrowed; 2 is stderr.
  int fd = 2;
};

/// Takes effect at once, also for existing Logs. Any thread, any number of times.
void configure(const Options &options);
/// Changes the level of all loggers, or of one and those below it ("" is all).
void setLevel(std::string_view name, Level level);
/// "error", "warning", "info", "debug"; throws Error(InvalidArgument) for another word.
Level parseLevel(std::string_view text);
const char *levelName(Level level) noexcept;

/// A shorter secret would hit ordinary words, and is shown.
constexpr std::size_t kShortestSecret = 6;
/// The text with [redacted] in place of each of the secrets.
std::string redacted(std::string_view text, std::span<const std::string> secrets);
/// From now on this text appears as [redacted] in messages and fields.
void addSecret(std::string_view secret);
/// The same for these, and no longer for those of the call before, which are overwritten.
void replaceSecrets(std::vector<std::string> secrets);

/// Says one line to who started the program, where the log goes but without its form; in the journal it has its
/// priority.
void tell(Level level, std::string_view text) noexcept;

struct Counts {
  std::uint64_t lines[5] = {}; ///< by Level
  std::uint64_t dropped = 0;   ///< since the reader stalled
};
Counts counts() noexcept;

/// Gives the lines of this thread a requestId for as long as it lives. Scopes nest. The text is borrowed all that time.
class RequestScope {
public:
  explicit RequestScope(std::string_view requestId) noexcept;
  ~RequestScope();
  RequestScope(const RequestScope &) = delete;
  RequestScope &operator=(const RequestScope &) = delete;

private:
  std::string_view before_;
};

/// Sends what Poco logs through its own loggers here, under the name "poco.<logger>".
void capturePoco();

} // namespace matrixos::log
