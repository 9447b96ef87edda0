#include "sys/store.h"

#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weft::sys {
namespace {

// Raised when the layout changes; a store of a newer layout is refused rather than misread.
constexpr int kLayoutVersion = 1;

// Table names are ours; the limit only keeps a mistake from becoming SQL.
constexpr std::size_t kTableNameMax = 64;

// The threads of an agent that was killed hold its files for a moment after the process is no
// longer seen. A file that stays in use belongs to an agent that is alive.
constexpr int kBusyMilliseconds = 1000;

// 128 KiB of page cache: the tables hold a few kilobytes, and the agent must stay small.
// The WAL is folded back into the file every 256 pages (1 MiB).
constexpr const char* kSettings =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA journal_mode = WAL;"
    "PRAGMA cache_size = -128;"
    "PRAGMA wal_autocheckpoint = 256;"
    "PRAGMA temp_store = MEMORY;";

class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  // A bound value is read during the next step() and must live until then.
  int bind(int position, ByteView bytes) {
    if (bytes.empty()) {
      return sqlite3_bind_zeroblob(statement_, position, 0);  // A null pointer would bind NULL.
    }
    return sqlite3_bind_blob64(statement_, position, bytes.data(), bytes.size(), SQLITE_STATIC);
  }
  int step() { return sqlite3_step(statement_); }
  void reset() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Bytes column(int position) const {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_, position));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, position));
    return data == nullptr ? Bytes() : Bytes(data, data + size);
  }
  int number(int position) const { return sqlite3_column_int(statement_, position); }

 private:
  sqlite3_stmt* statement_;
};

bool is_table_name(std::string_view name) {
  return !name.empty() && name.size() <= kTableNameMax
         && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == name.npos;
}

// The database: all but the thread. Called by one thread at a time.
class Database {
 public:
  explicit Database(std::string path) : path_(std::move(path)) {}
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() {
    tables_.clear();
    begin_.reset();
    commit_.reset();
    sqlite3_close(db_);
  }

  Result<Ok> open();
  Result<Ok> apply(const StoreBatch& batch);
  Result<Ok> apply_until_boot(const StoreBatch& batch);
  Result<StoreTable> load(const std::string& table);

 private:
  struct TableStatements {
    std::unique_ptr<Statement> put;
    std::unique_ptr<Statement> erase;
  };

  Error failure(std::string_view doing) const;
  Result<Ok> execute(const std::string& sql);
  Result<Ok> run(std::unique_ptr<Statement>& statement, const char* sql);
  Result<std::unique_ptr<Statement>> prepare(const std::string& sql);
  Result<bool> has_table(const std::string& table);
  Result<TableStatements*> statements(const std::string& table);
  Result<Ok> check_layout();
  Result<Ok> make_durable();
  Result<Ok> write_all(const StoreBatch& batch);
  Result<Ok> write(const StoreWrite& write);

  std::string path_;
  sqlite3* db_ = nullptr;
  std::map<std::string, TableStatements> tables_;
  std::unique_ptr<Statement> begin_;
  std::unique_ptr<Statement> commit_;
  std::optional<std::set<std::string>> present_;  // Once asked for.
};

Error Database::failure(std::string_view doing) const {
  // SQLITE_BUSY at any time means that another process holds the file, as we never contend.
  const int code = sqlite3_errcode(db_) & 0xff;
  if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
    return Error{
        Errc::Unavailable, fmt::format("store {} is in use by another process", path_), EBUSY};
  }
  const Errc kind = code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? Errc::Invalid : Errc::Os;
  return Error{kind,
               fmt::format("{} in store {}: {}", doing, path_, sqlite3_errmsg(db_)),
               sqlite3_system_errno(db_)};
}

Result<Ok> Database::execute(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure(sql);
  }
  return Ok{};
}

Result<std::unique_ptr<Statement>> Database::prepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db_, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    return failure(sql);
  }
  return std::make_unique<Statement>(statement);
}

Result<Ok> Database::open() {
  // SQLite would create the file with the umask; its WAL takes the mode of the file.
  const int file = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    const int error = errno;
    return Error{Errc::Os, fmt::format("open store {}: errno {}", path_, error), error};
  }
  struct stat status {};
  const bool is_fresh = ::fstat(file, &status) == 0 && status.st_size == 0;
  ::close(file);
  // NOMUTEX: SqliteStore has one of its own.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path_.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
    return failure("open");
  }
  sqlite3_busy_timeout(db_, kBusyMilliseconds);
  WEFT_TRY(execute(is_fresh ? "PRAGMA synchronous = OFF;" : "PRAGMA synchronous = FULL;"));
  WEFT_TRY(execute(kSettings));
  WEFT_TRY(execute("BEGIN EXCLUSIVE; COMMIT"));  // Takes the lock, which is kept until we close.
  WEFT_TRY(check_layout());
  return is_fresh ? make_durable() : Result<Ok>(Ok{});
}

// SQLite makes a new file in three steps with a sync or two for each. There is nothing in it to be
// lost: one for the file and one for its name do. What is still in the WAL is on disk with the
// first change.
Result<Ok> Database::make_durable() {
  // By SQLite's own descriptor: to close another would give up the lock (fcntl(2)).
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(db_, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK
      || file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) != SQLITE_OK) {
    return failure("sync");
  }
  const std::size_t slash = path_.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const int names = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = names >= 0 && ::fsync(names) == 0;
  const int error = errno;
  if (names >= 0) {
    ::close(names);
  }
  if (!is_synced) {
    return Error{Errc::Os, fmt::format("sync of {}: errno {}", directory, error), error};
  }
  return execute("PRAGMA synchronous = FULL;");
}

Result<Ok> Database::check_layout() {
  const auto query = WEFT_TRY(prepare("PRAGMA user_version"));
  if (query->step() != SQLITE_ROW) {
    return failure("read layout version");
  }
  const int version = query->number(0);
  query->reset();
  if (version > kLayoutVersion) {
    return Error{Errc::Conflict,
                 fmt::format("store {} has layout {} (expected at most {}): it was written by a "
                             "newer weft",
                             path_,
                             version,
                             kLayoutVersion)};
  }
  if (version == kLayoutVersion) {
    return Ok{};
  }
  const auto tables = WEFT_TRY(prepare("SELECT count(*) FROM sqlite_master"));
  if (tables->step() != SQLITE_ROW) {
    return failure("count tables");
  }
  const bool is_foreign = tables->number(0) != 0;
  tables->reset();
  if (is_foreign) {
    return Error{Errc::Invalid, fmt::format("store {} is a database of another program", path_)};
  }
  return execute(fmt::format("PRAGMA user_version = {}", kLayoutVersion));
}

Result<Ok> Database::apply(const StoreBatch& batch) {
  if (batch.empty()) {
    return Ok{};
  }
  // A statement by itself is a transaction; the first write to a table may take two.
  const bool is_lone = batch.size() == 1 && tables_.contains(batch.front().table);
  if (!is_lone) {
    WEFT_TRY(run(begin_, "BEGIN IMMEDIATE"));
  }
  Result<Ok> written = write_all(batch);
  if (written.ok() && !is_lone) {
    written = run(commit_, "COMMIT");
  }
  if (!written.ok()) {
    tables_.clear();  // Their tables may be rolled back with the rest.
    present_.reset();
    // The first error is the one to report; SQLite may have rolled back on its own.
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  }
  return written;
}

// In WAL mode a commit that is not synced is only later on disk, and never without those before it.
Result<Ok> Database::apply_until_boot(const StoreBatch& batch) {
  WEFT_TRY(execute("PRAGMA synchronous = NORMAL"));
  Result<Ok> applied = apply(batch);
  WEFT_TRY(execute("PRAGMA synchronous = FULL"));
  return applied;
}

// As execute(), for what is said so often that it is read once.
Result<Ok> Database::run(std::unique_ptr<Statement>& statement, const char* sql) {
  if (!statement) {
    statement = WEFT_TRY(prepare(sql));
  }
  const bool is_done = statement->step() == SQLITE_DONE;
  Result<Ok> result = is_done ? Result<Ok>(Ok{}) : failure(sql);
  statement->reset();
  return result;
}

Result<Ok> Database::write_all(const StoreBatch& batch) {
  for (const StoreWrite& entry : batch) {
    WEFT_TRY(write(entry));
  }
  return Ok{};
}

Result<Ok> Database::write(const StoreWrite& write) {
  const TableStatements* const table = WEFT_TRY(statements(write.table));
  Statement& statement = write.value ? *table->put : *table->erase;
  int code = statement.bind(1, write.key);
  if (code == SQLITE_OK && write.value) {
    code = statement.bind(2, *write.value);
  }
  if (code == SQLITE_OK) {
    code = statement.step();
  }
  if (code != SQLITE_DONE) {
    Error error = failure("write");
    statement.reset();
    return error;
  }
  statement.reset();
  return Ok{};
}

Result<Database::TableStatements*> Database::statements(const std::string& table) {
  const auto known = tables_.find(table);
  if (known != tables_.end()) {
    return &known->second;
  }
  if (!is_table_name(table)) {
    return Error{Errc::Invalid, fmt::format("table name '{}' (expected [a-z0-9_]+)", table)};
  }
  // The prefix keeps clear of names SQLite reserves. Without row ids a table is one tree and not
  // two, so that a small change touches half the pages.
  WEFT_TRY(
      execute(fmt::format("CREATE TABLE IF NOT EXISTS t_{} (key BLOB PRIMARY KEY, value BLOB "
                          "NOT NULL) WITHOUT ROWID",
                          table)));
  if (present_) {
    present_->insert("t_" + table);
  }
  TableStatements made;
  made.put =
      WEFT_TRY(prepare(fmt::format("INSERT INTO t_{} (key, value) VALUES (?1, ?2) "
                                   "ON CONFLICT (key) DO UPDATE SET value = ?2",
                                   table)));
  made.erase = WEFT_TRY(prepare(fmt::format("DELETE FROM t_{} WHERE key = ?1", table)));
  return &tables_.emplace(table, std::move(made)).first->second;
}

// An agent that starts loads a score of tables, most of which a new store does not have.
Result<bool> Database::has_table(const std::string& table) {
  if (!present_) {
    const auto query = WEFT_TRY(prepare("SELECT name FROM sqlite_master WHERE type = 'table'"));
    std::set<std::string> names;
    int code = query->step();
    while (code == SQLITE_ROW) {
      const Bytes name = query->column(0);
      names.emplace(name.begin(), name.end());
      code = query->step();
    }
    if (code != SQLITE_DONE) {
      return failure("look for tables");
    }
    present_ = std::move(names);
  }
  return present_->contains("t_" + table);
}

Result<StoreTable> Database::load(const std::string& table) {
  if (!is_table_name(table)) {
    return Error{Errc::Invalid, fmt::format("table name '{}' (expected [a-z0-9_]+)", table)};
  }
  StoreTable rows;
  const bool present = WEFT_TRY(has_table(table));
  if (!present) {
    return rows;
  }
  const auto query = WEFT_TRY(prepare(fmt::format("SELECT key, value FROM t_{}", table)));
  int code = query->step();
  while (code == SQLITE_ROW) {
    rows.emplace(query->column(0), query->column(1));
    code = query->step();
  }
  if (code != SQLITE_DONE) {
    return failure("load a table");
  }
  return rows;
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(std::string path) : database_(std::move(path)) {}

  ~SqliteStore() override {
    {
      const std::lock_guard lock(queue_mutex_);
      is_ending_ = true;
    }
    changed_.notify_all();
    if (writer_.joinable()) {
      writer_.join();
    }
  }

  Result<Ok> open() { return database_.open(); }

  Result<Ok> apply(const StoreBatch& batch) override {
    const std::lock_guard lock(database_mutex_);
    return database_.apply(batch);
  }

  Result<Ok> apply_until_boot(const StoreBatch& batch) override {
    const std::lock_guard lock(database_mutex_);
    return database_.apply_until_boot(batch);
  }

  Result<StoreTable> load(const std::string& table) override {
    const std::lock_guard lock(database_mutex_);
    return database_.load(table);
  }

  void apply_later(std::shared_ptr<const StoreBatch> batch,
                   boost::asio::any_io_executor executor,
                   OnApplied on_applied) override {
    namespace execution = boost::asio::execution;
    Job job{.batch = std::move(batch),
            .executor = boost::asio::prefer(executor, execution::outstanding_work.tracked),
            .on_applied = std::move(on_applied)};
    {
      const std::lock_guard lock(queue_mutex_);
      queue_.push_back(std::move(job));
    }
    changed_.notify_one();
    if (!writer_.joinable()) {  // The CLI opens stores too and has no use for a thread.
      writer_ = std::thread([this] { write(); });
    }
  }

 private:
  struct Job {
    std::shared_ptr<const StoreBatch> batch;
    boost::asio::any_io_executor executor;
    OnApplied on_applied;
  };

  void write() {
    std::unique_lock lock(queue_mutex_);
    while (true) {
      changed_.wait(lock, [this] { return is_ending_ || !queue_.empty(); });
      if (is_ending_) {
        return;
      }
      Job job = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      auto applied = apply(*job.batch);
      boost::asio::post(job.executor,
                        [on_applied = std::move(job.on_applied), applied = std::move(applied)] {
                          on_applied(applied);
                        });
      job = {};
      lock.lock();
    }
  }

  std::mutex database_mutex_;
  Database database_;

  std::mutex queue_mutex_;
  std::condition_variable changed_;
  std::deque<Job> queue_;
  bool is_ending_ = false;
  std::thread writer_;
};

}  // namespace

void Store::apply_later(std::shared_ptr<const StoreBatch> batch,
                        boost::asio::any_io_executor executor,
                        OnApplied on_applied) {
  boost::asio::post(executor, [on_applied = std::move(on_applied), applied = apply(*batch)] {
    on_applied(applied);
  });
}

Result<std::unique_ptr<Store>> open_store(const std::string& path) {
  auto store = std::make_unique<SqliteStore>(path);
  WEFT_TRY(store->open());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace weft::sys
