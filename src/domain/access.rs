//! Who may do what: permissions named in code, the built-in roles, and the person who acts.

use std::net::IpAddr;
use std::sync::Arc;

use super::ids::{CustomerId, EmployeeId, RoleId, UserId};
use super::time::Instant;

/// One thing that a role may allow. The name is `noun.verb`, the noun spelled as in the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Read every customer.
    CustomersRead,
    /// Read the customer that the user is.
    CustomersReadOwn,
    /// Add, change and remove customers.
    CustomersWrite,
    /// Read dishes.
    DishesRead,
    /// Add, change and remove dishes.
    DishesWrite,
    /// Read menus.
    MenusRead,
    /// Plan menus.
    MenusWrite,
    /// Read employees, without their pay.
    EmployeesRead,
    /// Add, change and remove employees.
    EmployeesWrite,
    /// Read everybody's attendance.
    AttendanceRead,
    /// Read one's own attendance.
    AttendanceReadOwn,
    /// Punch for oneself.
    AttendancePunch,
    /// Punch for others.
    AttendanceWrite,
    /// Read transactions, reports and base salaries.
    FinanceRead,
    /// Add and void transactions, set base salaries.
    FinanceWrite,
    /// Read users.
    UsersRead,
    /// Add, change and remove users.
    UsersWrite,
    /// Read roles and permissions.
    RolesRead,
    /// Add roles and set their permissions.
    RolesWrite,
    /// Read one's notifications.
    NotificationsRead,
    /// Read the audit trail.
    AuditRead,
    /// Read settings.
    SettingsRead,
    /// Change settings.
    SettingsWrite,
    /// Look at the sites of the chain, at the center.
    SitesRead,
    /// Work in the sites of the chain and tell all of them something, at the center.
    SitesWrite,
    /// Make appointments for oneself.
    AppointmentsBook,
    /// Read everybody's appointments.
    AppointmentsRead,
    /// Confirm, assign, carry out and cancel appointments.
    AppointmentsWrite,
    /// Pay for oneself, and read one's own orders.
    PaymentsPay,
    /// Read all orders, refunds, anomalies and reconciliations.
    PaymentsRead,
    /// Make and close orders, of payments and of payouts.
    PaymentsWrite,
    /// Confirm that recorded money is there, and resolve differences.
    PaymentsConfirm,
    /// Give money back.
    PaymentsRefund,
    /// Approve somebody else's payouts.
    PaymentsApprove,
}

impl Permission {
    /// Every permission, in the order in which they are listed.
    pub const ALL: [Permission; 34] = [
        Permission::CustomersRead,
        Permission::CustomersReadOwn,
        Permission::CustomersWrite,
        Permission::DishesRead,
        Permission::DishesWrite,
        Permission::MenusRead,
        Permission::MenusWrite,
        Permission::EmployeesRead,
        Permission::EmployeesWrite,
        Permission::AttendanceRead,
        Permission::AttendanceReadOwn,
        Permission::AttendancePunch,
        Permission::AttendanceWrite,
        Permission::FinanceRead,
        Permission::FinanceWrite,
        Permission::UsersRead,
        Permission::UsersWrite,
        Permission::RolesRead,
        Permission::RolesWrite,
        Permission::NotificationsRead,
        Permission::AuditRead,
        Permission::SettingsRead,
        Permission::SettingsWrite,
        Permission::SitesRead,
        Permission::SitesWrite,
        Permission::AppointmentsBook,
        Permission::AppointmentsRead,
        Permission::AppointmentsWrite,
        Permission::PaymentsPay,
        Permission::PaymentsRead,
        Permission::PaymentsWrite,
        Permission::PaymentsConfirm,
        Permission::PaymentsRefund,
        Permission::PaymentsApprove,
    ];

    /// The name in rows, answers and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Permission::CustomersRead => "customers.read",
            Permission::CustomersReadOwn => "customers.read_own",
            Permission::CustomersWrite => "customers.write",
            Permission::DishesRead => "dishes.read",
            Permission::DishesWrite => "dishes.write",
            Permission::MenusRead => "menus.read",
            Permission::MenusWrite => "menus.write",
            Permission::EmployeesRead => "employees.read",
            Permission::EmployeesWrite => "employees.write",
            Permission::AttendanceRead => "attendance.read",
            Permission::AttendanceReadOwn => "attendance.read_own",
            Permission::AttendancePunch => "attendance.punch",
            Permission::AttendanceWrite => "attendance.write",
            Permission::FinanceRead => "finance.read",
            Permission::FinanceWrite => "finance.write",
            Permission::UsersRead => "users.read",
            Permission::UsersWrite => "users.write",
            Permission::RolesRead => "roles.read",
            Permission::RolesWrite => "roles.write",
            Permission::NotificationsRead => "notifications.read",
            Permission::AuditRead => "audit.read",
            Permission::SettingsRead => "settings.read",
            Permission::SettingsWrite => "settings.write",
            Permission::SitesRead => "sites.read",
            Permission::SitesWrite => "sites.write",
            Permission::AppointmentsBook => "appointments.book",
            Permission::AppointmentsRead => "appointments.read",
            Permission::AppointmentsWrite => "appointments.write",
            Permission::PaymentsPay => "payments.pay",
            Permission::PaymentsRead => "payments.read",
            Permission::PaymentsWrite => "payments.write",
            Permission::PaymentsConfirm => "payments.confirm",
            Permission::PaymentsRefund => "payments.refund",
            Permission::PaymentsApprove => "payments.approve",
        }
    }

    /// What it allows, as people read it.
    pub const fn title(self) -> &'static str {
        match self {
            Permission::CustomersRead => "查看全部客户",
            Permission::CustomersReadOwn => "查看本人客户资料",
            Permission::CustomersWrite => "添加、修改、删除客户",
            Permission::DishesRead => "查看菜品",
            Permission::DishesWrite => "添加、修改、删除菜品",
            Permission::MenusRead => "查看餐单",
            Permission::MenusWrite => "排餐",
            Permission::EmployeesRead => "查看员工（不含薪资）",
            Permission::EmployeesWrite => "添加、修改、删除员工",
            Permission::AttendanceRead => "查看全部考勤",
            Permission::AttendanceReadOwn => "查看本人考勤",
            Permission::AttendancePunch => "本人打卡",
            Permission::AttendanceWrite => "代他人打卡",
            Permission::FinanceRead => "查看收支、报表和基本工资",
            Permission::FinanceWrite => "记录和作废收支、设置基本工资",
            Permission::UsersRead => "查看用户",
            Permission::UsersWrite => "添加、修改、删除用户",
            Permission::RolesRead => "查看角色和权限",
            Permission::RolesWrite => "添加角色、设置权限",
            Permission::NotificationsRead => "查看本人通知",
            Permission::AuditRead => "查看操作日志",
            Permission::SettingsRead => "查看设置",
            Permission::SettingsWrite => "修改设置",
            Permission::SitesRead => "查看门店",
            Permission::SitesWrite => "操作门店、群发通知",
            Permission::AppointmentsBook => "本人预约",
            Permission::AppointmentsRead => "查看预约",
            Permission::AppointmentsWrite => "处理预约",
            Permission::PaymentsPay => "本人支付、查看本人订单",
            Permission::PaymentsRead => "查看支付、退款和对账",
            Permission::PaymentsWrite => "创建和关闭支付订单",
            Permission::PaymentsConfirm => "确认线下收款、处理对账差异",
            Permission::PaymentsRefund => "退款",
            Permission::PaymentsApprove => "审批付款",
        }
    }
}

/// A name that no permission has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("没有名为{0}的权限")]
pub struct UnknownPermission(pub String);

impl std::str::FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.as_str() == name)
            .ok_or_else(|| UnknownPermission(name.to_owned()))
    }
}

/// A set of permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

impl Permissions {
    /// All that there are.
    pub fn all() -> Self {
        Permission::ALL.into_iter().collect()
    }

    /// Those that let one look at everything and change nothing.
    pub fn reading() -> Self {
        Permission::ALL.into_iter().filter(|permission| permission.as_str().ends_with(".read")).collect()
    }

    /// Whether this one is in the set.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }

    /// Whether every permission of `other` is in this set.
    pub const fn covers(self, other: Permissions) -> bool {
        self.0 & other.0 == other.0
    }

    /// The members, in listing order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.has(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | 1 << permission as u64))
    }
}

/// A role that every site has from the start.
pub struct BuiltInRole {
    /// The word in `users.role`.
    pub name: &'static str,
    /// How people call it.
    pub title: &'static str,
    /// What it allows until someone changes it.
    pub permissions: &'static [Permission],
}

/// The role that may do everything, always.
pub const ADMIN: &str = "admin";
/// The role of whoever works at the center.
pub const EMPLOYEE: &str = "employee";
/// The role of whoever is cared for.
pub const CUSTOMER: &str = "customer";

/// The seed's three roles (seed API, section 4.2).
pub const BUILT_IN_ROLES: [BuiltInRole; 3] = [
    BuiltInRole { name: ADMIN, title: "管理员", permissions: &Permission::ALL },
    BuiltInRole {
        name: EMPLOYEE,
        title: "员工",
        permissions: &[
            Permission::CustomersRead,
            Permission::DishesRead,
            Permission::MenusRead,
            Permission::EmployeesRead,
            Permission::AttendanceReadOwn,
            Permission::AttendancePunch,
            Permission::NotificationsRead,
            Permission::AppointmentsRead,
            Permission::AppointmentsWrite,
        ],
    },
    BuiltInRole {
        name: CUSTOMER,
        title: "客户",
        permissions: &[
            Permission::CustomersReadOwn,
            Permission::DishesRead,
            Permission::MenusRead,
            Permission::NotificationsRead,
            Permission::AppointmentsBook,
            Permission::PaymentsPay,
        ],
    },
];

/// Permissions that came after the first release. A site that has its roles already grants them once, to the built-in
/// roles that have them above.
pub const LATER_PERMISSIONS: [Permission; 4] = [
    Permission::AppointmentsBook,
    Permission::AppointmentsRead,
    Permission::AppointmentsWrite,
    Permission::PaymentsPay,
];

/// The fact that says that this permission has been granted.
pub fn granted_fact(permission: Permission) -> String {
    format!("granted.{}", permission.as_str())
}

/// What a route demands of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing: anybody on the network.
    Public,
    /// A valid token.
    SignedIn,
    /// A valid token or one that expired at most seven days ago.
    Refresh,
    /// A valid token whose role holds this permission.
    May(Permission),
    /// A valid token whose role holds at least one of these.
    MayAny(&'static [Permission]),
    /// A letter of the relay's own; for everybody else there is no such route.
    Relay,
    /// A site's credential, at the relay; on a site there is no such route.
    Site,
    /// A valid token of somebody at headquarters whose role holds this permission, at the relay; no user of a site has one,
    /// whatever his role holds there.
    Headquarters(Permission),
}

/// The user behind a valid token, as the rows have it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub user_id: UserId,
    /// The name to log in with.
    pub username: String,
    /// How people call the user.
    pub name: String,
    /// The user's role.
    pub role_id: RoleId,
    /// The role's name.
    pub role: String,
    /// What the role allows.
    pub permissions: Permissions,
    /// The customer that this user is, if one.
    pub customer_id: Option<CustomerId>,
    /// The employee that this user is, if one.
    pub employee_id: Option<EmployeeId>,
    /// The session that the token belongs to; none where the center vouches for the person.
    pub session_id: Option<String>,
}

/// Where what an actor does comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A request over the network, from this address.
    Network(IpAddr),
    /// A user's letter through the center's mailbox.
    Mailbox {
        /// When the relay received it.
        received_at: Instant,
    },
    /// A letter of the relay's own.
    Relay {
        /// When the relay wrote it.
        received_at: Instant,
    },
    /// A letter of somebody at headquarters.
    Headquarters {
        /// How people call him.
        name: Arc<str>,
        /// Whether he may do everything, or only read.
        write: bool,
        /// When the relay received it.
        received_at: Instant,
    },
    /// No request: the program itself is at work.
    System,
}

/// Whoever causes an operation: a person, nobody known, or the program itself; and from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The person, when the caller has shown a token.
    pub person: Option<Arc<Person>>,
    /// Where the request came from.
    pub source: Source,
    /// The id that the answer and the log carry.
    pub request_id: Arc<str>,
}

impl Actor {
    /// The program itself, at work on this task.
    pub fn system(task: &str) -> Self {
        Self { person: None, source: Source::System, request_id: Arc::from(task) }
    }

    /// The address that the request came from over the network.
    pub fn address(&self) -> Option<IpAddr> {
        match self.source {
            Source::Network(address) => Some(address),
            Source::Mailbox { .. } | Source::Relay { .. } | Source::Headquarters { .. } | Source::System => None,
        }
    }

    /// When the relay received the request that a letter brought.
    pub const fn received_at(&self) -> Option<Instant> {
        match self.source {
            Source::Mailbox { received_at }
            | Source::Relay { received_at }
            | Source::Headquarters { received_at, .. } => Some(received_at),
            Source::Network(_) | Source::System => None,
        }
    }

    /// Whether the actor holds this permission; the program itself holds all of them.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions().has(permission)
    }

    /// What the actor may do; a stranger nothing, and the relay nothing beyond the routes that are there for it.
    pub fn permissions(&self) -> Permissions {
        match (&self.person, &self.source) {
            (Some(person), _) => person.permissions,
            (None, Source::Network(_) | Source::Mailbox { .. } | Source::Relay { .. }) => Permissions::default(),
            (None, Source::Headquarters { write: false, .. }) => Permissions::reading(),
            (None, Source::Headquarters { write: true, .. } | Source::System) => Permissions::all(),
        }
    }

    /// The user, if one is known.
    pub fn user_id(&self) -> Option<UserId> {
        self.person.as_ref().map(|person| person.user_id)
    }

    /// The customer that the actor is.
    pub fn customer_id(&self) -> Option<CustomerId> {
        self.person.as_ref().and_then(|person| person.customer_id)
    }

    /// The employee that the actor is.
    pub fn employee_id(&self) -> Option<EmployeeId> {
        self.person.as_ref().and_then(|person| person.employee_id)
    }

    /// The role's name for the audit trail.
    pub fn role(&self) -> &str {
        match (&self.person, &self.source) {
            (Some(person), _) => &person.role,
            (None, Source::Network(_) | Source::Mailbox { .. }) => "anonymous",
            (None, Source::Relay { .. }) => "relay",
            (None, Source::Headquarters { .. }) => "headquarters",
            (None, Source::System) => "system",
        }
    }

    /// From where, for the audit trail: an address, the mailbox, or who at headquarters it is.
    pub fn whence(&self) -> Option<String> {
        match &self.source {
            Source::Network(address) => Some(address.to_string()),
            Source::Mailbox { .. } | Source::Relay { .. } => Some("mailbox".to_owned()),
            Source::Headquarters { name, .. } => Some(name.to_string()),
            Source::System => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_has_its_own_name_and_bit() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(permission));
            assert_eq!(Permissions::from_iter([permission]).iter().collect::<Vec<_>>(), [permission]);
        }
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
    }

    #[test]
    fn only_the_program_and_headquarters_hold_permissions_without_a_person() {
        let received_at = Instant(0);
        let headquarters = |write| Source::Headquarters { name: "总部".into(), write, received_at };
        let actor = |source| Actor { person: None, source, request_id: "".into() };
        let network = Source::Network(IpAddr::from([127, 0, 0, 1]));
        for source in [network, Source::Mailbox { received_at }, Source::Relay { received_at }] {
            assert_eq!(actor(source).permissions(), Permissions::default());
        }
        assert_eq!(actor(headquarters(true)).permissions(), Permissions::all());
        assert_eq!(actor(Source::System).permissions(), Permissions::all());
        let reading = actor(headquarters(false)).permissions();
        assert!(reading.has(Permission::CustomersRead) && reading.has(Permission::FinanceRead));
        assert!(reading.iter().all(|permission| permission.as_str().ends_with(".read")));
    }

    #[test]
    fn employees_and_customers_never_see_finance() {
        for role in BUILT_IN_ROLES.iter().filter(|role| role.name != ADMIN) {
            let permissions: Permissions = role.permissions.iter().copied().collect();
            assert!(!permissions.has(Permission::FinanceRead) && !permissions.has(Permission::FinanceWrite));
        }
    }
}
