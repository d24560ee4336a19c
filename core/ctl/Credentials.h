#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace matrixos::ctl {

/// Where the user has signed in with "matrixosctl login": ~/.config/matrixos/credentials, which nobody else can read.
/// By the URL as BaseUrl::text() has it: a token goes to the address that gave it, and to no other.
///
/// All of it throws Failure when the file, or its folder, is damaged or not the user's alone.
class Credentials {
public:
  Credentials();

  const std::filesystem::path &file() const noexcept { return file_; }

  /// Empty when there is none.
  std::string tokenFor(const std::string &url) const;
  std::vector<std::string> urls() const;

  /// Makes the folder, so that it is known before anybody signs in that a token can be kept.
  void prepare() const;
  /// Durable on return.
  void put(const std::string &url, const std::string &token) const;
  /// False when there is none.
  bool remove(const std::string &url) const;

private:
  using Tokens = std::map<std::string, std::string>;

  Tokens read() const;
  template <typename Change>
  bool change(Change &&change) const;

  std::filesystem::path file_;
};

} // namespace matrixos::ctl
