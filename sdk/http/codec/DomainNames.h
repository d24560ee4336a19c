/// http/codec/DomainNames.h: the names of hosts below the platform's domain.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace matrixos::http {

/// What people sign in on, and what its host stands for.
inline constexpr std::string_view kConsoleLabel = "console";
/// What follows a label on this machine (RFC 6761 §6.3).
inline constexpr std::string_view kLocalSuffix = ".localhost";

/// `alice.<domain>` and `alice.localhost` are alice's. The console is the host that the platform was told, and
/// console.localhost; where the host it was told is another, console.<domain> is nobody's.
class DomainNames {
public:
  /// `consoleHost`: empty for console.<domain>.
  explicit DomainNames(std::string_view domain, std::string_view consoleHost = {});

  struct Name {
    std::string label;       ///< in lower case
    std::string_view suffix; ///< ".example.org" or ".localhost", as long as this object lives
  };
  /// Of a host without its port, in any case. Nothing unless it is the console's, or one label before the domain or
  /// before localhost.
  std::optional<Name> find(std::string_view host) const;
  /// Whether a host without its port, in any case, is the machine itself, and no label below it.
  static bool isThisMachine(std::string_view host) noexcept;
  /// The console's host for who comes by that suffix.
  std::string consoleFor(std::string_view suffix) const;
  /// "console.example.org"
  const std::string &console() const noexcept { return console_; }
  /// "example.org"
  std::string_view domain() const noexcept { return std::string_view(suffix_).substr(1); }

private:
  std::string suffix_;  // ".example.org"
  std::string console_; // "console.example.org"
};

} // namespace matrixos::http
