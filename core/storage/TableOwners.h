/// Which table belongs to whom.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::storage {

/// Lower case: names of tables have none in SQL.
std::string tableKey(std::string_view name);

/// The database's tables and views as a transaction left them. All names are table keys.
struct TableNames {
  /// By name; an empty owner: it was there before tables had owners, and nobody has shown yet that it is theirs.
  std::map<std::string, std::string> owners;
  /// A foreign key points from the first to the second, which belongs to somebody else. Made before tables had owners.
  std::set<std::pair<std::string, std::string>> ties;

  /// Null when there is no such table.
  const std::string *ownerOf(const std::string &table) const;
  /// Somebody who may use a table may use one that is tied to it as well.
  bool isTied(const std::string &table, const std::string &owner) const;
};

/// What is known of tables and of those who may come to have some. Thread-safe.
class TableOwners {
public:
  /// The names each owner has declared, with a last * for any end; nothing for one that declared none.
  using Claims = std::map<std::string, std::vector<std::string>>;

  TableOwners() : names_(std::make_shared<const TableNames>()) {}

  /// As last committed.
  std::shared_ptr<const TableNames> names() const;
  void publish(TableNames names);

  /// Who may come, in place of what was said before.
  void expect(Claims claims);

  /// Why `owner` must not make a table of that name; "" when it may.
  std::string whyNotMake(const std::string &owner, const std::string &table) const;
  /// The table is among the names that the owner declared or, having declared none, those that begin with its id.
  bool hasName(const std::string &owner, const std::string &table) const;
  bool declaresNames(const std::string &owner) const;
  /// Why the owner's claims cannot be kept, since somebody else has such a table already; "" when they can.
  std::string conflict(const std::string &owner) const;

  /// The schema steps of the owner were looked through: what is still nobody's is not of its making.
  void noteReplayed(const std::string &owner);
  bool wasReplayed(const std::string &owner) const;

private:
  /// Of the others that are expected: who has the name.
  std::string holderOf(const std::string &table, const std::string &besides) const;

  mutable std::mutex mutex_;
  std::shared_ptr<const TableNames> names_;
  Claims claims_;
  std::set<std::string> replayed_;
};

/// "the platform's" table: no plugin reads or changes it.
bool isCoreTable(std::string_view key) noexcept;
/// Whether a claim ("hooks_*") covers the table.
bool claimCovers(std::string_view pattern, std::string_view key);

} // namespace matrixos::storage
