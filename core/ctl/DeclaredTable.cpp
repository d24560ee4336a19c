#include "ctl/DeclaredTable.h"

#include "ctl/Output.h"
#include "ctl/Table.h"
#include "ctl/Terminal.h"

#include <matrixos/status.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>

namespace matrixos::ctl {

namespace {

using common::CommandDescription;
using Form = CommandDescription::Column::Form;

std::string formatted(const char *format, double number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, number);
  return text.data();
}

/// "999", "12.3k", "4.56M": three digits, where there are more.
std::string countText(double number) {
  static constexpr std::array<const char *, 6> units{"", "k", "M", "G", "T", "P"};
  std::size_t unit = 0;
  // What would be rounded up to four digits belongs to the next unit.
  for (; std::abs(number) >= 999.5 && unit + 1 < units.size(); ++unit)
    number /= 1000;
  const double size = std::abs(number);
  return formatted(unit == 0 || size >= 99.95 ? "%.0f" : size >= 9.995 ? "%.1f" : "%.2f", number) + units[unit];
}

/// What is less than can be shown is told from nothing.
std::string usdText(double number) {
  return number > 0 && number < 0.0001 ? "<0.0001" : formatted("%.4f", number);
}

/// Of a number; 0 for anything else.
double numberOf(const json::Value &value) {
  return value.isNumeric() ? value.convert<double>() : 0;
}

std::string cellOf(const json::Object &item, const CommandDescription::Column &column) {
  const json::Value value = memberOf(item, column.member);
  switch (column.form) {
  case Form::Ago:
    return ago(shown(value));
  case Form::Count:
    return value.isNumeric() ? countText(numberOf(value)) : shown(value);
  case Form::Usd:
    return value.isNumeric() ? usdText(numberOf(value)) : value.isEmpty() ? "-" : shown(value);
  default:
    return shown(value);
  }
}

} // namespace

void printTable(const CommandDescription &command, json::Value answer, bool quiet) {
  const std::string list = command.listMember();
  if (!list.empty()) answer = memberOf(*answer.extract<json::Object::Ptr>(), list);
  auto columns = command.columnList();
  const std::string bars = columns.back().form == Form::Bar ? columns.back().member : "";
  const std::string barTitle = columns.back().title;
  if (!bars.empty()) columns.pop_back();
  std::vector<std::string> titles;
  std::vector<bool> areNumbers;
  for (const auto &column : columns) {
    titles.push_back(column.title);
    areNumbers.push_back(column.form == Form::Count || column.form == Form::Usd);
  }
  Table table(std::move(titles), std::move(areNumbers));
  std::vector<double> values;
  for (const auto &item : objects(answer)) {
    if (item.isNull()) throw Error(Status::InvalidArgument, "the list holds something else than objects");
    if (quiet) {
      std::cout << printable(memberText(*item, columns.front().member)) << '\n';
      continue;
    }
    std::vector<std::string> cells;
    for (const auto &column : columns)
      cells.push_back(cellOf(*item, column));
    table.add(std::move(cells));
    values.push_back(numberOf(memberOf(*item, bars)));
  }
  if (quiet) return;
  if (!bars.empty()) table.addBars(barTitle, values, terminalWidth(), showsUtf8());
  table.print(std::cout);
}

} // namespace matrixos::ctl
