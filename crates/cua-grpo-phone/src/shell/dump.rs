//! `dumpsys`.

use super::{activity::short, line::ShellOutput};
use crate::{
    Phone,
    state::{LAUNCHER, State, Stream, Toggle, Window, data::Notification, time},
    system::bars,
};

/// Services that are known but have nothing to tell here.
const SILENT: [&str; 6] = [
    "meminfo",
    "cpuinfo",
    "SurfaceFlinger",
    "gfxinfo",
    "usagestats",
    "procstats",
];

/// Dumps a service.
pub fn dumpsys(phone: &mut Phone, arguments: &[&str]) -> ShellOutput {
    let state = phone.state();
    let text = match arguments {
        // Since Android 13 the list of windows does not tell the focus.
        ["window", "windows", ..] => "WINDOW MANAGER WINDOWS (dumpsys window windows)\n".to_owned(),
        ["window", ..] => window(state),
        ["activity", rest @ ..] => activities(state, rest),
        ["battery", rest @ ..] if !rest.is_empty() => return super::sound::battery(phone.state_mut(), rest),
        ["battery"] => battery(state),
        ["wifi", ..] => wifi(state),
        ["notification", ..] => notifications(state),
        ["alarm", ..] => alarms(state),
        ["power", ..] => power(state),
        ["input_method", ..] => input_method(state),
        ["telephony.registry", ..] => {
            let call = if state.call.is_some() { 2 } else { 0 };
            format!("last known state:\n  Phone Id=0\n    mCallState={call}\n    mCallIncomingNumber=\n")
        }
        ["package", name, ..] => return package(state, name),
        ["display", ..] => format!(
            "DISPLAY MANAGER (dumpsys display)\n  mDefaultViewport=DisplayViewport{{deviceWidth={}, deviceHeight={}}}\n  mScreenState={}\n",
            state.display.width,
            state.display.height,
            if state.awake { "ON" } else { "OFF" }
        ),
        ["audio", ..] => audio(state),
        ["uimode", ..] => format!("Current UI Mode Service state:\n  mNightMode={} ({})\n", if state.dark() { 2 } else { 1 }, if state.dark() { "yes" } else { "no" }),
        ["location", ..] => format!("Location Manager State:\n  Location Settings:\n    User 0 Location Setting: {}\n", state.on(Toggle::Location)),
        ["bluetooth_manager", ..] => {
            let on = state.on(Toggle::Bluetooth);
            format!("Bluetooth Status\n  enabled: {on}\n  state: {}\n", if on { "ON" } else { "OFF" })
        }
        ["connectivity", ..] => format!("Active default network: {}\n", if state.network().is_some() { "100" } else { "none" }),
        ["statusbar", ..] => format!("  mExpanded={}\n", state.shade > 0),
        ["clipboard", ..] => "Clipboard service\n".to_owned(),
        [name, ..] if SILENT.contains(name) => format!("Applications {name} (in kilobytes):\n"),
        [] => "Currently running services:\n  activity\n  alarm\n  battery\n  notification\n  package\n  power\n  wifi\n  window\n".to_owned(),
        [other, ..] => {
            return ShellOutput {
                stderr: format!("Can't find service: {other}\n"),
                ..ShellOutput::default()
            };
        }
    };
    ShellOutput::ok(text)
}

/// Package and full class of what is in front, behind shade and lock screen.
fn front(state: &State) -> (String, String) {
    if state.in_app && !state.tasks.is_empty() {
        return (state.front_package().to_owned(), state.page().class.clone());
    }
    (
        LAUNCHER.to_owned(),
        "com.google.android.apps.nexuslauncher.NexusLauncherActivity".to_owned(),
    )
}

fn window(state: &State) -> String {
    let (package, class) = front(state);
    let focus = match state.front_window() {
        _ if !state.awake => "null".to_owned(),
        _ if state.prompt.is_some() => {
            "Window{5d1c2a u0 com.google.android.permissioncontroller/com.android.permissioncontroller.permission.ui.GrantPermissionsActivity}".to_owned()
        }
        Window::Lock | Window::Shade => "Window{48b4735 u0 NotificationShade}".to_owned(),
        _ => format!("Window{{48b4735 u0 {package}/{class}}}"),
    };
    let task = state.tasks.last().map_or(1, |task| task.id);
    let d = state.display;
    let below = (bars::navigation_height(state) * d.scale()).round() as u32;
    let p = state.physical;
    format!(
        "WINDOW MANAGER LAST ANR (dumpsys window lastanr)\n  <no ANR has occurred since boot>\n\
         WINDOW MANAGER POLICY STATE (dumpsys window policy)\n    mAwake={awake}\n    isKeyguardShowing={locked}\n\
         WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)\n  Display: mDisplayId=0 (organized)\n    \
         init={pw}x{ph} {pd}dpi cur={w}x{h} app={w}x{app} rng={w}x{app}-{h}x{h}\n    mCurrentRotation=ROTATION_0\n  \
         mCurrentFocus={focus}\n  mFocusedApp=ActivityRecord{{12376650 u0 {component} t{task}}}\n",
        awake = state.awake,
        locked = state.locked,
        pw = p.width,
        ph = p.height,
        pd = p.density,
        w = d.width,
        h = d.height,
        app = d.height.saturating_sub(below),
        component = short(&package, &class),
    )
}

fn activities(state: &State, rest: &[&str]) -> String {
    let (package, class) = front(state);
    let task = state.tasks.last().map_or(1, |task| task.id);
    let record = format!("ActivityRecord{{d9b8281 u0 {} t{task}}}", short(&package, &class));
    let mut out =
        "ACTIVITY MANAGER ACTIVITIES (dumpsys activity activities)\nDisplay #0 (activities from top to bottom):\n"
            .to_owned();
    if matches!(rest, ["recents", ..]) {
        out = "ACTIVITY MANAGER RECENT TASKS (dumpsys activity recents)\n  Recent tasks:\n".to_owned();
        for (index, task) in state.tasks.iter().rev().enumerate() {
            let class = task.places.first().map_or("", |place| place.class.as_str());
            out.push_str(&format!(
                "  * Recent #{index}: Task{{a{:x} #{} type=standard A=10100:{}}}\n    realActivity={{{}}}\n",
                task.id,
                task.id,
                task.package,
                short(&task.package, class)
            ));
        }
        return out;
    }
    for task in state.tasks.iter().rev() {
        out.push_str(&format!(
            "  * Task{{a{:x} #{} type=standard A=10100:{}}}\n",
            task.id, task.id, task.package
        ));
        for place in task.places.iter().rev() {
            out.push_str(&format!(
                "    * Hist: ActivityRecord{{d9b8281 u0 {} t{}}}\n",
                short(&task.package, &place.class),
                task.id
            ));
        }
    }
    out.push_str(&format!("  topResumedActivity={record}\n  ResumedActivity: {record}\n"));
    out
}

fn battery(state: &State) -> String {
    let battery = &state.battery;
    let status = match (battery.plugged, battery.level) {
        (true, 100) => 5,
        (true, _) => 2,
        (false, _) => 3,
    };
    let held = if battery.held {
        "  (UPDATES STOPPED -- use 'reset' to restart)\n"
    } else {
        ""
    };
    format!(
        "Current Battery Service state:\n{held}  AC powered: false\n  USB powered: {}\n  Wireless powered: false\n  Dock powered: false\n  \
         Max charging current: 500000\n  Max charging voltage: 5000000\n  Charge counter: {}\n  status: {status}\n  health: 2\n  \
         present: true\n  level: {}\n  scale: 100\n  voltage: 4152\n  temperature: 268\n  technology: Li-ion\n",
        battery.plugged,
        battery.level * 43_550,
        battery.level
    )
}

fn wifi(state: &State) -> String {
    let on = state.on(Toggle::Wifi);
    let mut out = format!(
        "Wi-Fi is {}\nVerbose logging is off\n",
        if on { "enabled" } else { "disabled" }
    );
    if let Some(network) = state.network() {
        out.push_str(&format!(
            "mWifiInfo SSID: \"{}\", BSSID: 02:15:b2:00:01:00, Supplicant state: COMPLETED\n",
            network.ssid
        ));
    }
    out
}

/// A notification as `dumpsys` and `cmd notification get` show it.
pub fn notification_record(notification: &Notification) -> String {
    let tag = if notification.tag.is_empty() {
        "null"
    } else {
        &notification.tag
    };
    format!(
        "  NotificationRecord(0x0{:x}: pkg={} user=UserHandle{{0}} id={} tag={tag} importance={} key=0|{}|{}|{tag}: Notification(channel=default))\n      \
         extras={{\n          android.title=String ({})\n          android.text=String ({})\n      }}\n",
        notification.id,
        notification.package,
        notification.id,
        if notification.silent { 2 } else { 4 },
        notification.package,
        notification.id,
        notification.title,
        notification.text
    )
}

fn notifications(state: &State) -> String {
    let list: String = state.notifications.iter().map(notification_record).collect();
    let zen = state
        .settings
        .get(crate::state::Table::Global, "zen_mode")
        .unwrap_or("0");
    format!("Current Notification Manager state:\n  Notification List:\n{list}\n  Zen Mode:\n    mZenMode={zen}\n")
}

fn alarms(state: &State) -> String {
    let mut out = "Current Alarm Manager state:\n".to_owned();
    let now = time::Civil::new(state.local(state.now));
    out.push_str(&format!(
        "  nowRTC={}={}.000 nowELAPSED={}\n",
        state.now,
        now.iso(),
        state.now - state.booted
    ));
    out.push_str("  Next alarm clock information: \n");
    if let Some((_, at)) = state.next_alarm() {
        let local = time::Civil::new(state.local(at));
        out.push_str(&format!(
            "    user:0 pendingSend:false time:{at} = {}.000\n",
            local.iso()
        ));
    }
    out
}

fn power(state: &State) -> String {
    format!(
        "POWER MANAGER (dumpsys power)\n  mWakefulness={}\n  mIsPowered={}\n  mBatteryLevel={}\n  mStayOn={}\n  Settings power_manager_constants:\n  mLowPowerModeEnabled={}\n",
        if state.awake { "Awake" } else { "Asleep" },
        state.battery.plugged,
        state.battery.level,
        state.on(Toggle::StayAwake) && state.battery.plugged,
        state.on(Toggle::BatterySaver)
    )
}

fn input_method(state: &State) -> String {
    let shown = state.keyboard_shown();
    format!(
        "Current Input Method Manager state:\n  mInputShown={shown}\n  mShowRequested={shown}\n  mCurMethodId=com.google.android.inputmethod.latin/com.android.inputmethod.latin.LatinIME\n"
    )
}

fn audio(state: &State) -> String {
    let mut out = "Stream volumes (device: index)\n".to_owned();
    for number in [0, 2, 3, 4, 5] {
        if let Some((stream, name)) = Stream::of(number) {
            let (least, most) = stream.range();
            out.push_str(&format!(
                "- {name}:\n   Muted: false\n   Min: {least}\n   Max: {most}\n   streamVolume:{}\n",
                state.volume(stream)
            ));
        }
    }
    out
}

fn package(state: &State, name: &str) -> ShellOutput {
    let Some(package) = state.packages.get(name) else {
        return ShellOutput::ok(format!("Unable to find package: {name}\n"));
    };
    let mut out = format!(
        "Packages:\n  Package [{name}] (3f2a1c):\n    versionCode=340912 minSdk=28 targetSdk=34\n    versionName={}\n    User 0: installed=true stopped={} enabled=0\n      runtime permissions:\n",
        package.version, package.stopped
    );
    for (permission, allowed) in &package.permissions {
        let granted = *allowed == Some(true);
        let flags = if allowed.is_none() { "" } else { " USER_SET" };
        out.push_str(&format!(
            "        android.permission.{permission}: granted={granted}, flags=[{flags}]\n"
        ));
    }
    ShellOutput::ok(out)
}
