#pragma once

#include "HeadFile.h"
#include "Store.h"

#include <matrixos/status.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace matrixos::audit {

/// Walks the chain from its beginning to its end. Blocks; nothing may be cut meanwhile.
class Verification {
public:
  /// The first row that is not as it was written.
  struct Fault {
    std::int64_t seq = 0;
    std::string what; ///< "was changed …", to go on after "row 57 "
  };

  Verification(const Store &store, const HeadFile &head) : store_(store), head_(head) {}

  /// From that row on, given that the one before it is right; 0: all there is. Nothing when all is well.
  std::optional<Fault> run(std::int64_t from);
  /// Of the rows up to that one alone, from the beginning.
  std::optional<Fault> runTo(std::int64_t end);
  std::int64_t rows() const noexcept { return rows_; }
  /// The last row that was looked at.
  const Link &last() const noexcept { return last_; }

private:
  /// Once, when the daemon started, the log ended with another row than it should have.
  struct Break {
    Link expected;
    std::int64_t seq; ///< of the record that says so
  };

  Link beginning(std::int64_t from) const;
  Error noRow(std::int64_t seq) const;
  void readBreaks();
  std::optional<Fault> walk(std::int64_t from, std::int64_t end);
  std::optional<Fault> check(const Row &row) const;
  std::optional<Fault> checkBreaks(const Row &row) const;
  std::optional<Fault> checkEnd() const;

  const Store &store_;
  const HeadFile &head_;
  std::vector<Break> breaks_;
  Link last_;
  std::int64_t rows_ = 0;
};

} // namespace matrixos::audit
