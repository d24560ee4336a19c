#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace matrixos::config {

/// Files that systemd hands to a service: LoadCredential=, SetCredentialEncrypted= and their like, see
/// https://systemd.io/CREDENTIALS/. A value names one as "credential:NAME" where it could name a file.
class Credentials {
public:
  /// None.
  Credentials() = default;
  /// `folder`: what systemd put into $CREDENTIALS_DIRECTORY.
  explicit Credentials(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Whether a value names a credential, and not a file.
  static bool isNamedBy(std::string_view value) noexcept;

  bool areGiven() const noexcept { return !folder_.empty(); }

  /// Throws Error(InvalidArgument) with a sentence when the value, which names a credential, has a name in it that
  /// systemd would not take.
  static void checkName(std::string_view value);
  /// Where the credential lies that the value names. Throws like checkName(), and Error(NotFound) with a sentence that
  /// says what to write into the unit when the process was not given it.
  std::string fileOf(std::string_view value) const;

private:
  std::filesystem::path folder_;
};

} // namespace matrixos::config
