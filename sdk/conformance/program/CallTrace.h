#pragma once

#include <string>
#include <vector>

namespace matrixos::conformance {

/// The calls that this process makes into the plugin, noted in a file before they are made and once they have returned,
/// so that another process can tell in which one this process ended. One per process; without open() nothing is noted.
class CallTrace {
public:
  /// Also notes what every CheckedRuntime calls from now on. Throws std::runtime_error.
  static void open(const std::string &file);
  /// A case begins: what was noted before is forgotten.
  static void clear() noexcept;

  /// While it lives its thread is inside the plugin.
  class Call {
  public:
    explicit Call(const std::string &what) { note(what, false); }
    ~Call() { note({}, true); }
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;
  };

  /// What a process left when it ended.
  struct Left {
    std::vector<std::string> calls;  ///< the latest, oldest first
    std::vector<std::string> inside; ///< of these, those that had not returned
  };
  static Left read(const std::string &file);

private:
  static void note(const std::string &what, bool returned) noexcept;
};

} // namespace matrixos::conformance
