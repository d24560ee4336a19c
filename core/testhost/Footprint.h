#pragma once

#include <map>
#include <string>

namespace matrixos::testhost {

/// The threads and open files, eventfds aside, that this process has at one moment.
class Footprint {
public:
  static Footprint now();

  /// What is there and was not in `before`: "2 threads (worker), an open file (socket:[7])"; "" when nothing is. What
  /// is about to end gets a moment to.
  static std::string addedSince(const Footprint &before);

private:
  std::map<std::string, std::string> threads_; ///< names by thread id
  std::map<std::string, std::string> files_;   ///< what they are by number and that
};

} // namespace matrixos::testhost
