/// matrixos/host.hpp: the host's interfaces (abi/host.h) as C++ objects that throw matrixos::Error, one header each.
///
/// Every class is a thin view over a table of the host: copyable, thread-safe where the table is, valid from create()
/// until the plugin is destroyed. What each function does, and how it fails, is said in abi/host.h.
#pragma once

#include <matrixos/host/config.hpp>
#include <matrixos/host/events.hpp>
#include <matrixos/host/executor.hpp>
#include <matrixos/host/fetch.hpp>
#include <matrixos/host/http.hpp>
#include <matrixos/host/kv.hpp>
#include <matrixos/host/log.hpp>
#include <matrixos/host/metrics.hpp>
#include <matrixos/host/outbox.hpp>
#include <matrixos/host/platform.hpp>
#include <matrixos/host/services.hpp>
#include <matrixos/host/sql.hpp>
#include <matrixos/host/timers.hpp>
