#pragma once

namespace matrixos::isolation::host {

/// Reports where in the plugin a thread was when it crashed, for the daemon to read once the process is gone.
class CrashReporter {
public:
  /// From now on, fatal signals write the name of the function that the crashing thread was in to `fd`, and then do
  /// what they would have done. Not in builds with a sanitizer, which has a report of its own to write.
  static void install(int fd) noexcept;

  /// The current thread is in `function` (static text, such as "start()") while this lives. Scopes nest.
  class Scope {
  public:
    explicit Scope(const char *function) noexcept;
    ~Scope();
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

  private:
    const char *before_;
  };
};

} // namespace matrixos::isolation::host
