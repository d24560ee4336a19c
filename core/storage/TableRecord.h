/// The record of who owns which table. Internal to core/storage.
#pragma once

#include "storage/Statement.h"
#include "storage/TableOwners.h"

#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::storage {

class SqliteConnection;

/// Keeps the table matrixos_tables in step with the schema: who makes a table owns it, until it is dropped. Lives on
/// the writer's connection and thread.
class TableRecord {
public:
  /// Reads what the database holds; writes nothing.
  TableRecord(SqliteConnection &connection, TableOwners &owners);

  /// As the open transaction leaves them.
  const TableNames &names() const noexcept { return *names_; }

  /// After a statement of the owner that changed the schema, in its transaction. Throws Error(PermissionDenied) for
  /// what the statement was not seen to do beforehand: a table renamed to a name, or a foreign key to a table, of
  /// somebody else.
  void follow(const std::string &owner);
  /// The transaction was committed: what it made is known to all.
  void committed();
  /// It was undone, or part of it.
  void undone();

  /// Gives the owner what is still nobody's and as good as certainly its own: names that it declared, or that begin
  /// with its id; `asked`: a table that it uses. A table that another maker of schema steps may have made is left.
  /// False when that is so of `asked`. Opens a transaction of its own.
  bool adopt(const std::string &owner, const std::string &asked);
  /// The same with the tables that these steps, which were applied before, made.
  void adoptMadeBy(const std::string &owner, std::span<const Migration> applied);

private:
  TableNames read() const;
  void reload();
  bool hasRecord() const;
  void write(const std::string &table, const std::string &owner);
  void give(const std::string &owner, const std::vector<std::string> &tables);
  void checkKeys(const std::string &owner, const TableNames &before) const;
  std::set<std::string> makers() const;

  SqliteConnection &connection_;
  TableOwners &owners_;
  std::shared_ptr<const TableNames> names_; ///< as the open transaction leaves them
  bool changed_ = false;                    ///< they are not those that were published
};

} // namespace matrixos::storage
