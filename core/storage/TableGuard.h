/// What SQL may do. Internal to core/storage.
#pragma once

#include "storage/TableOwners.h"

#include <matrixos/status.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace matrixos::storage {

/// Nobody has shown yet that the table is theirs.
class NobodysTable : public Error {
public:
  NobodysTable(const std::string &what, std::string table)
      : Error(Status::PermissionDenied, what, "TABLE_OWNED"), table_(std::move(table)) {}
  const std::string &table() const noexcept { return table_; }

private:
  std::string table_;
};

/// Judges what SQLite is about to do while it prepares a statement (https://sqlite.org/c3ref/set_authorizer.html), also
/// when it prepares one anew that it has had. One thread, like its connection.
class TableGuard {
public:
  explicit TableGuard(const TableOwners &owners) : owners_(owners), names_(owners.names()) {}

  /// For whom statements are prepared. Trusted: the platform itself, which may do all.
  struct Principal {
    bool trusted = true;
    std::string owner{};
  };
  Principal replace(Principal principal);
  const Principal &principal() const noexcept { return principal_; }

  /// The tables as the connection sees them.
  void see(std::shared_ptr<const TableNames> names) noexcept { names_ = std::move(names); }

  /// Another statement comes.
  void begin(bool changesSchema = false);
  /// It makes, drops or changes tables or what belongs to them.
  bool changesSchema() const noexcept { return changesSchema_; }
  /// Arguments of https://sqlite.org/c3ref/c_alter_table.html; an absent text is empty.
  bool allows(int action, std::string_view first, std::string_view second);
  /// Throws Error when something of the statement was refused. `what`: at the front of the message.
  void check(const std::string &what) const;

private:
  bool allowsOwner(int action, std::string_view first, std::string_view second);
  bool reads(std::string_view table, std::string_view column);
  bool writes(int action, std::string_view table);
  bool uses(std::string_view table);
  bool makes(std::string_view table);
  bool refuse(std::string why) noexcept;
  bool refuseUnnamed();

  const TableOwners &owners_;
  std::shared_ptr<const TableNames> names_;
  Principal principal_;
  bool changesSchema_ = false;
  std::string making_; ///< the table that the statement makes, with its keys' indexes
  bool refused_ = false;
  std::string why_;     ///< empty: the statement as such
  std::string nobodys_; ///< the table that nobody has shown to be theirs
};

} // namespace matrixos::storage
