#include "TestHost.h"

#include <matrixos/call.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace matrixos::test {

namespace {

storage::SqlValue valueOf(const mos_sql_value &value) {
  switch (value.type) {
  case MOS_SQL_INT:
    return value.integer;
  case MOS_SQL_REAL:
    return value.real;
  case MOS_SQL_TEXT:
    return std::string(fromAbi(value.text));
  default:
    return nullptr;
  }
}

storage::Params paramsOf(const mos_sql_value *values, std::uint32_t count) {
  storage::Params params;
  for (std::uint32_t i = 0; i < count; ++i)
    params.push_back(valueOf(values[i]));
  return params;
}

} // namespace

TestHost::TestHost(const std::filesystem::path &database)
    : database_(std::make_unique<storage::Database>(storage::DatabaseOptions{database, std::chrono::seconds(5)})),
      owner_(common::makeOwner()), timers_(executor_) {
  fillSql();
  fillTimers();
}

TestHost::~TestHost() {
  executor_.stop(std::chrono::seconds(10));
}

const void *TestHost::find(std::string_view id) const {
  if (id == MOS_HOST_SQL_1) return &sqlTable_;
  if (id == MOS_HOST_TIMERS_1) return &timersTable_;
  if (id == MOS_HOST_EXECUTOR_1) return &executorTable_;
  return FakeHost::find(id);
}

void TestHost::fillSql() {
  sqlTable_ = {sizeof sqlTable_, 0, this, nullptr, nullptr, nullptr, [](void *) { return "sqlite"; }};
  sqlTable_.query = [](void *self, mos_str sql, const mos_sql_value *values, std::uint32_t count, mos_sql_rows rows,
                       mos_error *error) {
    return guarded(error, [&] {
      of(self).database_->query(fromAbi(sql), paramsOf(values, count), [&](const storage::Row &row) {
        std::vector<mos_sql_value> columns(row.size());
        for (std::size_t i = 0; i < row.size(); ++i)
          columns[i] = {row[i].type, 0, row[i].integer, row[i].real, toAbi(row[i].text)};
        return rows.row(rows.ctx, columns.data(), static_cast<std::uint32_t>(columns.size())) == MOS_SINK_CONTINUE;
      });
    });
  };
  sqlTable_.exec_batch = [](void *self, const mos_sql_statement *list, std::uint32_t count, std::int64_t *changed,
                            mos_error *error) {
    return guarded(error, [&] {
      std::vector<storage::Statement> batch;
      std::string text;
      for (std::uint32_t i = 0; i < count; ++i) {
        batch.push_back(
            {std::string(fromAbi(list[i].sql)), paramsOf(list[i].params, list[i].params_count), list[i].expected_rows});
        text += batch.back().sql + ";";
      }
      std::function<void(const std::string &)> hook;
      {
        const std::lock_guard lock(of(self).hookMutex_);
        hook = of(self).onBatch_;
      }
      if (hook) hook(text);
      const auto result = of(self).database_->execBatch(batch);
      if (changed != nullptr) std::copy(result.begin(), result.end(), changed);
    });
  };
  sqlTable_.migrate = [](void *self, const mos_sql_migration *steps, std::uint32_t count, mos_error *error) {
    return guarded(error, [&] {
      std::vector<storage::Migration> list;
      for (std::uint32_t i = 0; i < count; ++i)
        list.push_back({steps[i].version, std::string(fromAbi(steps[i].name)), std::string(fromAbi(steps[i].sql))});
      of(self).database_->migrate("orchestrator", list);
    });
  };
}

void TestHost::fillTimers() {
  timersTable_ = {sizeof timersTable_, 0, this, nullptr, nullptr};
  timersTable_.schedule = [](void *self, std::int64_t delay, std::int64_t period, void (*fire)(void *), void *ctx,
                             std::uint64_t *out, mos_error *error) {
    return guarded(error, [&] {
      *out = of(self).timers_.schedule(of(self).owner_, std::chrono::milliseconds(delay),
                                       std::chrono::milliseconds(period), [fire, ctx] { fire(ctx); });
    });
  };
  timersTable_.cancel = [](void *self, std::uint64_t handle, mos_error *error) {
    return guarded(error, [&] { of(self).timers_.cancel(handle); });
  };
  executorTable_ = {sizeof executorTable_, 0, this, nullptr};
  executorTable_.submit = [](void *self, void (*run)(void *), void (*drop)(void *), void *ctx, mos_error *error) {
    return guarded(error, [&] {
      of(self).executor_.submit(
          of(self).owner_, [run, ctx] { run(ctx); }, [drop, ctx] { drop(ctx); });
    });
  };
}

void TestHost::onBatch(std::function<void(const std::string &)> hook) {
  const std::lock_guard lock(hookMutex_);
  onBatch_ = std::move(hook);
}

} // namespace matrixos::test
