#pragma once

#include "Browser.h"
#include "support/DaemonProcess.h"
#include "support/Wait.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos::test {

/// A user of this machine, with a home of their own.
class Home {
public:
  /// `config`: what matrixosctl is told is the daemon's; else that is.
  explicit Home(DaemonProcess &daemon, std::filesystem::path config = {})
      : daemon_(daemon), config_(config.empty() ? daemon.configFile() : std::move(config)) {
    std::filesystem::create_directory(folder_ / "home");
  }

  std::string url() const { return "http://localhost:" + std::to_string(daemon_.proxyPort()); }
  std::filesystem::path credentials() const { return folder_ / "home/.config/matrixos/credentials"; }
  Finished ctl(std::vector<std::string> arguments) const { return run(command(std::move(arguments))); }
  /// Signs in, while `answer` does in a browser what it is told to: a page with a code.
  Finished login(const std::function<void(const std::string &page)> &answer, std::vector<std::string> more = {}) const {
    std::vector<std::string> words{"login", "--url", url()};
    words.insert(words.end(), more.begin(), more.end());
    std::filesystem::remove(log());
    Process process(command(words), log());
    CHECK(eventually([&] { return !pageIn(readFile(log())).empty(); }));
    answer(pageIn(readFile(log())));
    const auto status = process.wait(std::chrono::seconds{60});
    return {status.value_or(-1), readFile(log())};
  }

private:
  std::filesystem::path log() const { return folder_ / "log"; }
  std::vector<std::string> command(std::vector<std::string> arguments) const {
    std::vector<std::string> all{"/usr/bin/env",
                                 "-u",
                                 "XDG_CONFIG_HOME",
                                 "HOME=" + (folder_ / "home").string(),
                                 (buildDir() / "bin/matrixosctl").string(),
                                 "--config=" + config_.string()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  static std::string pageIn(std::string text) {
    std::erase(text, '\\'); // of JSON
    constexpr std::string_view kCode = "?user_code=";
    const std::size_t code = text.find(kCode);
    const std::size_t end = code + kCode.size() + 9;
    if (code == std::string::npos || end >= text.size()) return {};
    const std::size_t at = text.rfind("http://", code);
    return text.substr(at, end - at);
  }

  DaemonProcess &daemon_;
  const std::filesystem::path config_;
  TempDir folder_;
};

/// Answers what a program asks for on that page.
inline void letIn(Browser &browser, const std::string &page, const std::string &decision = {}) {
  CHECK(browser.open(page).status == 200);
  CHECK(browser
            .fetch("POST", "console", "/auth/device/approve", "console",
                   {{"Content-Type", "application/x-www-form-urlencoded"}},
                   "user_code=" + parameterOf(page, "user_code") + decision)
            .status == 200);
}

} // namespace matrixos::test
