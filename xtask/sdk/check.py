"""Calls every method of an Android box through the official Python SDK, against the simulator.

Usage: check.py BASE_URL [small|pixel]. Prints one line a call, "PASSED NAME", "FAILED NAME: WHY" or "ABSENT NAME: WHY", and leaves
with 1 when one has failed.
"""

import base64
import functools
import importlib
import inspect
import io
import os
import pkgutil
import socket
import struct
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib

import gbox_sdk
import gbox_sdk.resources.v1
import gbox_sdk.wrapper
from gbox_sdk import GboxClient, GboxSDK

# Every method of the SDK notes that it was called, so that none is forgotten here.
methods, called, watched = set(), set(), set()


def watch(kind):
    def noting(method, name):
        @functools.wraps(method)
        def note(*arguments, **options):
            called.add(name)
            return method(*arguments, **options)

        return note

    for name, method in list(vars(kind).items()):
        if not name.startswith("_") and inspect.isfunction(method):
            methods.add(f"{kind.__name__}.{name}")
            setattr(kind, name, noting(method, f"{kind.__name__}.{name}"))


def watch_all():
    for package in (gbox_sdk.resources.v1, gbox_sdk.wrapper):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            for name, kind in vars(importlib.import_module(module.name)).items():
                # Classes of the client itself, by the ends of their names.
                known = inspect.isclass(kind) and name.endswith(("Resource", "Operator", "Manager", "BaseBox", "SDK"))
                if known and not name.startswith(("Async", "Sync", "API")) and kind not in watched:
                    watched.add(kind)
                    watch(kind)


watch_all()

base_url = sys.argv[1]
PHONE = sys.argv[2] if len(sys.argv) > 2 else "small"
SMALL = PHONE == "small"
WIDTH, HEIGHT = SIZE = (192, 384) if SMALL else (540, 1200)
# What the shell says; the SDK knows no box of 14.
VERSION = "13" if SMALL else "14"
# What can be named on the home screen, and two things on the first page of the settings. The small phone shows its
# buttons everywhere.
ON_HOME = "Home" if SMALL else "Chrome"
FIRST, SECOND = ("Home", "Back") if SMALL else ("Network & internet", "Connected devices")
sdk = GboxSDK(api_key="any", base_url=base_url)
v1 = sdk.client.v1
failed = 0


def check(name, work, wanted=None):
    """Calls `work`, and `wanted` with what comes of it; `wanted` says whether it is right."""
    global failed
    try:
        result = work()
        if wanted is not None and not wanted(result):
            raise AssertionError(f"unexpected answer: {str(result)[:300]}")
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is told
        failed += 1
        print(f"FAILED {name}: {type(error).__name__}: {str(error)[:400]}")
        return None
    print(f"PASSED {name}")
    return result


def refused(name, status, work):
    """Checks that a call is refused with a status and a reason in words."""

    def wanted(error):
        body = error.body
        return error.status_code == status and isinstance(body, dict) and body["message"]

    def call():
        try:
            work()
        except gbox_sdk.APIStatusError as error:
            return error
        raise AssertionError("it was not refused")

    check(f"{name} is refused with {status}", call, wanted)


def fetch(url):
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - an address of the simulator
        return answer.headers.get_content_type(), answer.read()


def size(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n", png[:8]
    return struct.unpack(">II", png[16:24])


def picture(uri):
    start = "data:image/png;base64,"
    assert uri.startswith(start), uri[:60]
    return base64.b64decode(uri[len(start):])


def small_png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def archive(name):
    """An APK as far as its names go: a ZIP with a manifest in plain XML."""
    manifest = f"""<?xml version="1.0"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="{name}" android:versionName="2.5">
  <application android:label="Checked">
    <activity android:name=".Main" android:exported="true"><intent-filter>
      <action android:name="android.intent.action.MAIN"/><category android:name="android.intent.category.LAUNCHER"/>
    </intent-filter></activity>
    <activity android:name=".Second"/>
  </application>
</manifest>"""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("AndroidManifest.xml", manifest)
    return memory.getvalue()


def shell(command):
    return box.command(command=command).stdout


# ── Boxes ──────────────────────────────────────────────────────────────────────────────────────────────────────────
label = f"check-{os.getpid()}"
config = {"labels": {"suite": label}, "envs": {"CUA_SIM_SEED": "3", "WORD": "hello"}, "expiresIn": "20m"}
box = check(
    "sdk.create",
    lambda: sdk.create(type="android", wait=True, timeout="60s", config=config),
    lambda box: box.data.status == "running" and box.data.type == "android" and box.data.config.os.version == "13",
)
if box is None:
    sys.exit(1)
box_id = box.data.id
second = check("create without a config", lambda: sdk.create(type="android"), lambda box: box.data.config.labels == {})
check("sdk.get", lambda: sdk.get(box_id), lambda got: got.data.id == box_id and got.data.config.envs["WORD"] == "hello")
check("sdk.get_info", lambda: sdk.get_info(box_id), lambda info: info.config.labels == {"suite": label})
check(
    "sdk.list by labels",
    lambda: sdk.list(labels={"suite": label}, status=["running", "pending"], type=["android"], device_type="virtual"),
    lambda page: [op.data.id for op in page.operators] == [box_id] and page.total == 1 and page.page == 1,
)
check("sdk.list_info by pages", lambda: sdk.list_info(page=2, page_size=1), lambda page: len(page.data) == 1 and page.total == 2)
check("list of another status", lambda: sdk.list_info(status=["terminated"], labels={"suite": label}), lambda page: page.data == [])
check("box.start", lambda: box.start(wait=True), lambda box: box.data.status == "running")
check("box.stop", lambda: box.stop(wait=True), lambda box: box.data.id == box_id)
check("box.display", box.display, lambda display: display.orientation == "portrait" and display.resolution.width == WIDTH)
refused("a box that is not there", 404, lambda: sdk.get("nobody"))
refused("a wrong kind of device", 400, lambda: sdk.create(type="android", config={"deviceType": "toaster"}))
refused("a wrong duration", 400, lambda: sdk.create(type="android", config={"expiresIn": "soon"}))
refused("a label that is no text", 400, lambda: sdk.create(type="android", config={"labels": {"a": 1}}))
refused("a Linux box", 400, lambda: sdk.create(type="linux"))
refused("a wrong status", 400, lambda: sdk.list(status=["asleep"]))
refused("a wrong page", 400, lambda: sdk.list(page=0))
refused("no key", 401, lambda: GboxClient(api_key="any", base_url=base_url, default_headers={"Authorization": "Basic any"}).v1.boxes.list())
refused("a path that is not there", 404, lambda: sdk.client.get("/boxes/x/nothing", cast_to=object))
check(
    "any prefix",
    lambda: GboxSDK(api_key="any", base_url=base_url.replace("/api/v1", "/some/other/prefix/")).get(box_id),
    lambda got: got.data.id == box_id,
)

# ── Commands and code ──────────────────────────────────────────────────────────────────────────────────────────────
check(
    "box.command",
    lambda: box.command(command="echo $WORD $MORE; pwd", envs={"MORE": "world"}, timeout="5s", working_dir="/sdcard"),
    lambda result: result.stdout == "hello world\n/sdcard\n" and result.exit_code == 0 and result.stderr == "",
)
check("a command that fails", lambda: box.command(command="nothing"), lambda result: result.exit_code == 127)
check("a command out of time", lambda: box.command(command="sleep 9", timeout="100ms"), lambda result: result.exit_code == 124)
check(
    "box.run_code",
    lambda: box.run_code(code="# a script\necho $1 $#", argv=["one", "two"], language="bash", timeout="5s"),
    lambda result: result.stdout == "one 2\n" and result.exit_code == 0,
)
check("code without its language", lambda: box.run_code(code="print(1)", language="python"), lambda result: result.exit_code == 127)
heard = []
check(
    "box.command over a WebSocket",
    lambda: box.command(command="echo a; echo b; cat none", on_stdout=heard.append, on_stderr=heard.append, timeout="5s"),
    lambda result: result.stdout == "a\nb\n" and heard[:2] == ["a\n", "b\n"] and result.exit_code == 1 and result.stderr,
)
check(
    "box.run_code over a WebSocket",
    lambda: box.run_code(code="echo $1", argv=["x"], language="bash", on_stdout=heard.append),
    lambda result: (result.stdout, result.exit_code) == ("x\n", 0),
)
refused("a language that is none", 400, lambda: box.run_code(code="x", language="cobol"))
refused("a wrong timeout", 400, lambda: box.command(command="ls", timeout="never"))

# ── Actions ────────────────────────────────────────────────────────────────────────────────────────────────────────
action = box.action
every = {"screenshot": {"phases": ["before", "after", "trace"], "output_format": "base64", "delay": "10ms"}}


def at(place, x):
    """Whether a place is on the screen, and on the small phone, which draws the same everywhere, at this `x`."""
    return place["x"] == x if SMALL else 0 < place["x"] < WIDTH and 0 < place["y"] < HEIGHT


def home():
    """To where things are that can be named: on a full phone a tap leads away."""
    if not SMALL:
        action.press_button(buttons=["home"])


def acted(result):
    return result.action_id and result.message and getattr(result, "screenshot", None) is None


def pictured(result):
    shots = result.screenshot
    return all(size(picture(shot.uri)) == SIZE for shot in (shots.before, shots.after, shots.trace))


check("click", lambda: action.click(x=1, y=1, button="left", double=True), acted)
check("click with pictures", lambda: action.click(x=1.5, y=1, options=every), pictured)
check("click with all pictures", lambda: action.click(x=1, y=1, options={"screenshot": True}), pictured)
check("click with a picture after", lambda: action.click(x=1, y=1, options={"screenshot": {"phases": ["after"]}}),
      lambda result: result.screenshot.after.uri and result.screenshot.before is None)
home()
check("click on a description", lambda: action.click(target=f"the {ON_HOME} button", options={"model": "ui-tars"}), acted)
check(
    "the deprecated options",
    lambda: v1.boxes.actions.click(
        box_id, x=1, y=1, include_screenshot=True, output_format="storageKey", presigned_expires_in="10m", screenshot_delay="5ms"
    ),
    lambda result: result.screenshot.after.uri.startswith("storage://") and result.screenshot.trace.uri,
)
check("tap", lambda: action.tap(x=1, y=1), acted)
home()
check("tap on a description", lambda: action.tap(target=ON_HOME), acted)
check("long_press", lambda: action.long_press(x=2, y=2, duration="1s"), acted)
home()
check("long_press on a description", lambda: action.long_press(target=ON_HOME), acted)
check("move", lambda: action.move(x=5, y=5), acted)
check("drag between points", lambda: action.drag(start={"x": 1, "y": 60}, end={"x": 1, "y": 70}, duration="300ms"), acted)
home()
check("drag to a description", lambda: action.drag(start={"x": 1, "y": 60}, end=ON_HOME), acted)
check("drag along a path", lambda: action.drag(path=[{"x": 1, "y": 60}, {"x": 2, "y": 70}], duration="50ms"), acted)
check("swipe towards", lambda: action.swipe(direction="upLeft", distance="short", duration="100ms"), acted)
home()
check("swipe from a description", lambda: action.swipe(direction="up", distance=40, location=ON_HOME), acted)
check("swipe between points", lambda: action.swipe(start={"x": 9, "y": 99}, end={"x": 9, "y": 60}, duration="300ms"), acted)
check("scroll by pixels", lambda: action.scroll(x=96, y=190, scroll_x=0, scroll_y=64), acted)
check("scroll towards", lambda: action.scroll(direction="up", distance="medium", duration="500ms"), acted)
check("scroll as the original agent does", lambda: action.scroll(x=1, y=2, direction="down", distance=300), acted)
touched = [{"start": {"x": 1, "y": 60}, "actions": [{"type": "wait", "duration": "10ms"}, {"type": "move", "x": 2, "y": 61, "duration": "200ms"}]}]
check("touch", lambda: action.touch(points=touched), acted)
check("touch with two fingers", lambda: action.touch(points=touched * 2), acted)
check("type", lambda: action.type(text="hello", mode="replace", press_enter=False), acted)
check("press_key", lambda: action.press_key(keys=["enter"], combination=False), acted)
check("press_key together", lambda: action.press_key(keys=["control", "a"], combination=True), acted)
check("press_button", lambda: action.press_button(buttons=["volumeUp", "power", "appSwitch", "menu", "home"]), acted)
if not SMALL:
    # The power button has put it to sleep.
    shell("input keyevent KEYCODE_WAKEUP; wm dismiss-keyguard")
for name, call in {
    "click without a place": lambda: sdk.client.post(f"/boxes/{box_id}/actions/click", cast_to=object, body={"x": 1}),
    "click with a wrong button": lambda: action.click(x=1, y=1, button="double"),
    "click on nothing known": lambda: action.click(target="a purple giraffe"),
    "a wrong model": lambda: action.click(x=1, y=1, options={"model": "hal"}),
    "a wrong phase": lambda: action.click(x=1, y=1, options={"screenshot": {"phases": ["during"]}}),
    "a delay too long": lambda: action.click(x=1, y=1, options={"screenshot": {"delay": "31s"}}),
    "a wrong direction": lambda: action.swipe(direction="sideways"),
    "a wrong key": lambda: action.press_key(keys=["Enter"]),
    "no key": lambda: action.press_key(keys=[]),
    "a wrong way to press a button": lambda: action.press_button(buttons=["doorbell"]),
    "no finger": lambda: action.touch(points=[]),
    "a wrong mode": lambda: action.type(text="a", mode="insert"),
    "a wrong orientation": lambda: action.screen_rotation(orientation="sideways"),
    "a clip beside the screen": lambda: action.screenshot(clip={"x": 0, "y": 0, "width": 999, "height": 1}),
}.items():
    refused(name, 400, call)

# ── Screenshots and what is on them ────────────────────────────────────────────────────────────────────────────────
shot = check("screenshot", action.screenshot, lambda shot: size(picture(shot.uri)) == SIZE)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "shots", "one.png")
    check("screenshot into a file", lambda: action.screenshot(path=path), lambda _: os.path.getsize(path) > 100)
check("screenshot of a part", lambda: action.screenshot(clip={"x": 10, "y": 20, "width": 30, "height": 40}),
      lambda shot: size(picture(shot.uri)) == (30, 40))
stored = check(
    "screenshot into the store",
    lambda: action.screenshot(output_format="storageKey", presigned_expires_in="5m"),
    lambda shot: shot.uri.startswith("storage://") and fetch(shot.presigned_url)[0] == "image/png",
)
check("storage.create_presigned_url", lambda: box.storage.create_presigned_url(stored.uri, expires_in="1h"),
      lambda url: url.startswith("http") and size(fetch(url)[1]) == SIZE)
refused("a key that is not there", 404, lambda: box.storage.create_presigned_url("storage://none"))
refused("an address for too long", 400, lambda: box.storage.create_presigned_url(stored.uri, expires_in="7h"))


def forged():
    try:
        fetch(stored.presigned_url[:-4] + "0000")
    except urllib.error.HTTPError as error:
        return error.code
    return 200


check("an address that was changed is refused", forged, lambda status: status == 403)
shell("am start -n com.android.settings/.Settings")
action.press_button(buttons=["back"])
shell("am start -n com.android.settings/.Settings")
check(
    "screenshot of a whole list",
    lambda: v1.boxes.actions.screenshot(box_id, scroll_capture={"max_height": 4000, "scroll_back": True}),
    lambda shot: size(picture(shot.uri))[1] >= HEIGHT,
)
check("screen_layout", action.screen_layout,
      lambda layout: layout.content.startswith("<?xml") and "<hierarchy rotation=\"0\">" in layout.content
      and 'package="com.android.settings"' in layout.content)
detected = check("elements.detect", lambda: action.elements.detect(),
      lambda found: found.elements.list() == [] and picture(found.screenshot.source.uri))


def no_element():
    try:
        return detected.elements.get("1")
    except (KeyError, ValueError):
        return None


check("elements.get of what is not there", no_element, lambda element: element is None)
check("extract", lambda: action.extract(instruction="What is on the screen?"), lambda got: got.data["text"] and base64.b64decode(got.screenshot))
check(
    "extract by a schema",
    lambda: action.extract(instruction="Read it", schema={"type": "object", "properties": {"all": {"type": "array"}}}),
    lambda got: SECOND in got.data["all"],
)
found = check(
    "model: click",
    lambda: sdk.client.post("/model", cast_to=object, body={"screenshot": action.screenshot().uri, "action": {"type": "click", "target": FIRST}}),
    lambda answer: answer["response"]["type"] == "click" and at(answer["response"]["coordinates"], 144),
)
check(
    "model: drag on a stored picture",
    lambda: sdk.client.post("/model", cast_to=object, body={
        "model": "gbox-handy-1", "screenshot": action.screenshot(output_format="storageKey").presigned_url,
        "action": {"type": "drag", "target": SECOND, "destination": "a purple giraffe"}}),
    lambda answer: answer["response"]["coordinates"]["destination"] == {"x": -1, "y": -1}
    and at(answer["response"]["coordinates"]["target"], 48),
)
check(
    "model: scroll",
    lambda: sdk.client.post("/model", cast_to=object, body={
        "screenshot": action.screenshot().uri, "action": {"type": "scroll", "location": SECOND, "direction": "up"}}),
    lambda answer: answer["response"]["coordinates"]["scrollY"] == HEIGHT / 2,
)
refused("a picture of nobody", 400, lambda: sdk.client.post("/model", cast_to=object, body={
    "screenshot": "data:image/png;base64,AAAA", "action": {"type": "click", "target": "x"}}))

# ── Settings of actions, clipboard, rotation, resolution ───────────────────────────────────────────────────────────
check("get_settings", action.get_settings, lambda settings: settings.scale == 1)
check("update_settings", lambda: action.update_settings(0.5), lambda settings: settings.scale == 0.5)
check("a smaller picture", action.screenshot, lambda shot: size(picture(shot.uri)) == (WIDTH // 2, HEIGHT // 2))
check("a smaller place", lambda: action.tap(target=FIRST),
      lambda result: result.actual == {"x": 72.0, "y": 184.0} if SMALL else at(result.actual, None))
check("reset_settings", action.reset_settings, lambda settings: settings.scale == 1)
refused("a scale too large", 400, lambda: action.update_settings(1.5))
check("clipboard.set", lambda: action.clipboard.set("some text"), lambda result: result is None)
check("clipboard.get", action.clipboard.get, lambda text: text == "some text")
check("screen_rotation", lambda: action.screen_rotation(orientation="landscapeLeft"), acted)
check("the display after it", box.display, lambda display: display.orientation == "landscapeLeft")
check("the settings after it", lambda: shell("settings get system user_rotation"), lambda text: text == "1\n")
action.screen_rotation(orientation="portrait")
check("resolution.set", lambda: box.resolution.set(width=384, height=800), lambda size: (size.width, size.height) == (384, 800))
check("the picture after it", action.screenshot, lambda shot: size(picture(shot.uri)) == (384, 800))
check("the shell after it", lambda: shell("wm size"), lambda text: "Override size: 384x800" in text)
box.resolution.set(width=WIDTH, height=HEIGHT)
refused("a resolution of nothing", 400, lambda: box.resolution.set(width=0, height=1))

# ── Films ──────────────────────────────────────────────────────────────────────────────────────────────────────────
recorder, rewind = action.recording, action.recording.rewind
check("rewind.enable", rewind.enable)
check("recording.start", recorder.start)
refused("a second recording", 400, recorder.start)
action.press_button(buttons=["home"])
shell("am start -n com.android.settings/.Settings")
time.sleep(0.2)


def film(result):
    kind, data = fetch(result.presigned_url)
    return kind == "video/mp4" and data[4:8] == b"ftyp" and b"moov" in data and data.count(b"\x89PNG") >= 2


check("recording.stop", recorder.stop, lambda result: result.storage_key.startswith("storage://") and film(result))
check("screen_recording_start", action.screen_recording_start)
check("screen_recording_stop", action.screen_recording_stop, lambda result: fetch(result.presigned_url)[0] == "video/mp4")
check("rewind.extract", lambda: rewind.extract("30s"), film)
refused("looking back too far", 400, lambda: rewind.extract("6m"))
check("rewind.disable", rewind.disable)
refused("looking back at nothing", 400, lambda: rewind.extract("30s"))

# ── Files ──────────────────────────────────────────────────────────────────────────────────────────────────────────
fs = box.fs
file = check("fs.write", lambda: fs.write(content="one\n", path="notes/a.txt"),
             lambda file: file.data.path == "/data/local/tmp/notes/a.txt" and file.data.size == "4B" and file.data.type == "file")
check("the shell sees it", lambda: shell("cat notes/a.txt; ls notes"), lambda text: text == "one\na.txt\n")
check("fs.write of bytes", lambda: fs.write(content=b"\x00\xff", path="b.bin", working_dir="/sdcard/Download"),
      lambda file: file.data.path == "/sdcard/Download/b.bin" and file.data.size == "2B")
check("fs.read", lambda: fs.read("notes/a.txt"), lambda got: got.content == "one\n")
check("fs.read in another folder", lambda: fs.read("a.txt", working_dir="/data/local/tmp/notes"), lambda got: got.content == "one\n")
check("file.write", lambda: file.write("two\n"), lambda data: data.size == "4B")
check("file.read", file.read, lambda got: got.content == "two\n")
shell("echo from the shell > notes/c.txt")
check("fs sees what the shell wrote", lambda: fs.read("notes/c.txt"), lambda got: got.content == "from the shell\n")
check("fs.list", lambda: fs.list("notes"), lambda list: [entry.data.name for entry in list] == ["a.txt", "c.txt"])
check("fs.list_info", lambda: fs.list_info("/sdcard", depth=2), lambda list: any(entry.path == "/sdcard/Download/b.bin" for entry in list.data))
folder = check("fs.get", lambda: fs.get("notes"), lambda folder: folder.data.type == "dir")
check("directory.list", lambda: folder.list(depth=1), lambda list: len(list) == 2)
check("directory.list_info", folder.list_info, lambda list: len(list.data) == 2)
check("fs.exists", lambda: fs.exists("notes"), lambda got: got.exists is True and got.type == "dir")
check("fs.exists of nothing", lambda: fs.exists("none"), lambda got: got.exists is False)
check("fs.rename", lambda: fs.rename(old_path="notes/c.txt", new_path="notes/d.txt"), lambda got: got.name == "d.txt")
check("file.rename", lambda: file.rename("/data/local/tmp/notes/e.txt"), lambda got: got.path.endswith("/e.txt"))
check("directory.rename", lambda: folder.rename(new_path="/data/local/tmp/moved"), lambda got: got.type == "dir")
check("fs.remove", lambda: fs.remove("moved"), lambda got: got.message)
check("fs.info of what is gone", lambda: fs.exists("moved"), lambda got: got.exists is False)
refused("reading nothing", 404, lambda: fs.read("none"))
refused("reading a folder", 400, lambda: fs.read("/sdcard"))
refused("listing nothing", 404, lambda: fs.list("none"))
refused("renaming onto something", 400, lambda: fs.rename(old_path="/sdcard/Download", new_path="/sdcard/DCIM"))
refused("removing the root", 400, lambda: fs.remove("/"))

# ── Packages and apps ──────────────────────────────────────────────────────────────────────────────────────────────
name = "org.checked.app"
apk = archive(name)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "checked.apk")
    with open(path, "wb") as out:
        out.write(apk)
    app = check("app.install of a file", lambda: box.app.install(apk=path, open=True),
                lambda app: app.data.package_name == name and app.data.activity_class_name == f"{name}.Main")
    check("app.install of a file address", lambda: box.app.install(apk=f"file://{path}"), lambda app: app.data.package_name == name)
    check("pkg.install of a file", lambda: box.pkg.install(apk=path), lambda got: got.package_name == name and len(got.activities) == 2)
check("the shell sees it", lambda: shell("pm list packages -3"), lambda text: text == f"package:{name}\n")
# Installing it once more ends it on the full phone, as Android does.
in_front = f"{name}/{name}.Main" if SMALL else "com.google.android.apps.nexuslauncher"
check("what is in front", lambda: shell("dumpsys window | grep mCurrentFocus"), lambda text: in_front in text)
check("app.install of an address", lambda: box.app.install(apk="https://example.com/com.example.other.apk"),
      lambda app: app.data.package_name == "com.example.other")
check("pkg.install of bytes", lambda: box.pkg.install(apk=("split.zip", archive("org.checked.second"))), lambda got: got.pkg_type == "thirdParty")
pkg = box.pkg.get("org.checked.second")
check("what the manifest says", lambda: pkg, lambda pkg: pkg.data.version == "2.5" and pkg.data.name == "Checked")
check("app.list", box.app.list, lambda list: {"com.android.settings", name} <= {app.data.package_name for app in list.operators})
check("app.list_info", box.app.list_info, lambda list: all(app.activity_name for app in list.data))
check("app.get", lambda: box.app.get("com.android.settings"), lambda app: app.data.activity_class_name == "com.android.settings.Settings")
check("app.get_info", lambda: box.app.get_info(name), lambda app: app.package_name == name)
check("app.open", app.open)
check("app.open of an activity", lambda: app.open(f"{name}.Second"))
check("app.restart", app.restart)
check("app.list_activities", app.list_activities, lambda list: [(a.name, a.is_launcher) for a in list.data] == [(".Main", True), (".Second", False)])
check("app.close", app.close)
check("it is not in front any more", lambda: shell("dumpsys window | grep mCurrentFocus"), lambda text: name not in text)
check("pkg.list", box.pkg.list, lambda list: [pkg.data.package_name for pkg in list.operators] == ["com.example.other", name, "org.checked.second"])
check("pkg.list of the system", lambda: box.pkg.list(pkg_type=["system", "thirdParty"], running_filter=["running", "notRunning"]),
      lambda list: len(list.operators) > 10)
check("pkg.list_info of what runs", lambda: box.pkg.list_info(pkg_type=["system"], running_filter=["running"]),
      lambda list: all(pkg.is_running for pkg in list.data) and list.data)
check("pkg.list_simple_info", lambda: box.pkg.list_simple_info(pkg_type=["thirdParty"]), lambda list: len(list.data) == 3)
check("pkg.get", lambda: box.pkg.get(name), lambda pkg: pkg.data.is_running is False)
check("pkg.get_info", lambda: box.pkg.get_info(name), lambda pkg: pkg.apk_path.startswith("/data/app/"))
check("pkg.open", lambda: pkg.open(), lambda _: pkg.data.is_running is True)
check("pkg.restart", lambda: pkg.restart("Main"), lambda _: pkg.data.is_running is True)
check("pkg.list_activities", pkg.list_activities, lambda list: len(list.data) == 2)
check("pkg.close", pkg.close, lambda _: pkg.data.is_running is False)
kept = check("pkg.backup", pkg.backup, lambda answer: len(answer.read()) > 50)
check("app.backup", app.backup, lambda answer: len(answer.read()) > 50)
check("app.backup_all", box.app.backup_all, lambda answer: len(answer.read()) > 50)
whole = check("pkg.backup_all", box.pkg.backup_all)
check("app.uninstall", lambda: box.app.uninstall(name))
check("pkg.uninstall", lambda: box.pkg.uninstall("org.checked.second", keep_data=True))
check("the shell sees that they are gone", lambda: shell("pm list packages checked"), lambda text: text == "")
# This SDK sends a backup as JSON, so it has to be text.
check("android.restore", lambda: v1.boxes.android.restore(box_id, backup=whole.read().decode()))
check("the shell sees that they are back", lambda: shell("pm list packages checked"), lambda text: text.count("\n") == 2)
check("app.close_all", box.app.close_all)
check("pkg.close_all", box.pkg.close_all)
check("the launcher is in front", lambda: shell("dumpsys window | grep mCurrentFocus"), lambda text: "launcher" in text)
refused("an app that is not there", 404, lambda: box.app.get("org.none"))
refused("a package that is not there", 404, lambda: box.pkg.get("org.none"))
refused("taking out what is not there", 404, lambda: box.app.uninstall("org.none"))
refused("taking out a part of the system", 400, lambda: box.app.uninstall("com.android.settings"))
refused("a file that is no package", 400, lambda: box.app.install(apk=b"no package"))
refused("an activity that is not there", 400, lambda: app.open(".None"))
refused("a backup that is none", 400, lambda: v1.boxes.android.restore(box_id, backup="none"))
refused("a kind of package that is none", 400, lambda: box.pkg.list(pkg_type=["own"]))

# ── Albums ─────────────────────────────────────────────────────────────────────────────────────────────────────────
media = box.media
check("media.get_media_support", media.get_media_support, lambda support: "png" in support.photo and "mp4" in support.video)
check("media.create_album", lambda: media.create_album(name="Empty"), lambda album: album.data.media_count == 0)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "one.png")
    with open(path, "wb") as out:
        out.write(small_png())
    album = check("media.create_album with pictures", lambda: media.create_album(name="Holiday", media=[path, folder]),
                  lambda album: album.data.media_count == 2 and album.data.path == "/sdcard/DCIM/Holiday")
    check("album.append_media", lambda: album.append_media([("two.mp4", b"film")]))
    check("album.download", lambda: album.download(os.path.join(folder, "down")),
          lambda _: len(os.listdir(os.path.join(folder, "down"))) == 3)
check("media.list_albums", media.list_albums, lambda list: {"Empty", "Holiday"} <= {album.data.name for album in list})
check("media.list_albums_info", media.list_albums_info, lambda list: len(list.data) >= 2)
check("media.get_album", lambda: media.get_album("Holiday"), lambda album: album.data.media_count == 3)
check("media.get_album_info", lambda: media.get_album_info("Holiday"), lambda album: album.media_count == 3)
item = check("album.get_media", lambda: album.get_media("one.png"), lambda item: item.data.type == "photo" and item.data.mime_type == "image/png")
check("album.get_media_info", lambda: album.get_media_info("two.mp4"), lambda info: info.type == "video")
check("album.list_media", album.list_media, lambda list: len(list) == 3)
check("album.list_media_info", album.list_media_info, lambda list: len(list.data) == 3)
check("media.get_info", item.get_info, lambda info: info.size.endswith("B"))
check("media.download", item.download, lambda data: data == small_png())
check("the shell sees it", lambda: shell("ls /sdcard/DCIM/Holiday | wc -l"), lambda text: text == "3\n")
check("album.delete_media", lambda: album.delete_media("two.mp4"))
check("screenshot into the album", lambda: action.screenshot(save_to_album=True))
check("the album has it", lambda: media.get_album_info("Screenshots"), lambda album: album.media_count == 1)
check("media.delete_album", lambda: media.delete_album("Holiday"))
refused("an album that is gone", 404, lambda: media.get_album("Holiday"))
refused("an album twice", 400, lambda: media.create_album(name="Empty"))
refused("an album of texts", 400, lambda: media.create_album(name="Texts", media=[("a.txt", b"text")]))

# ── Browser ────────────────────────────────────────────────────────────────────────────────────────────────────────
browser = box.browser
check("browser.cdp_url", browser.cdp_url, lambda url: url.startswith("ws://"))
check("browser.open", lambda: v1.boxes.browser.open(box_id, maximize=True), lambda got: got.cdp_url.startswith("ws://"))
tab = check("browser.open_tab", lambda: browser.open_tab("https://example.com/a"), lambda tab: tab.active and tab.title == "example.com")
other = check("a second tab", lambda: browser.open_tab("https://example.org"), lambda other: other.id != tab.id)
check("browser.list_tabs", browser.list_tabs, lambda list: [t.data.active for t in list] == [False, True])
check("browser.list_tab_info", browser.list_tab_info, lambda list: len(list.data) == 2)
check("browser.switch_tab", lambda: browser.switch_tab(tab.id), lambda got: got.active)
check("browser.update_tab", lambda: browser.update_tab(tab_id=tab.id, url="https://example.net/b"), lambda got: got.url == "https://example.net/b")
check("the screen shows it", action.screen_layout, lambda layout: 'text="example.net' in layout.content)
check("browser.close_tab", lambda: browser.close_tab(other.id), lambda got: got.message)
operator = browser.list_tabs()[0]
check("tab.update", lambda: operator.update("https://example.com/c"), lambda got: got.url.endswith("/c"))
servers = {"http_server": "http://a:1", "https_server": "http://a:1", "socks5_server": ""}
check("browser.set_proxy", lambda: v1.boxes.browser.set_proxy(box_id, **servers, bypass_list=["localhost"]))
check("browser.get_proxy", lambda: v1.boxes.browser.get_proxy(box_id), lambda got: got.http_server == "http://a:1")
check("browser.clear_proxy", lambda: v1.boxes.browser.clear_proxy(box_id))
check("browser.close", lambda: v1.boxes.browser.close(box_id))
refused("a tab that is not there", 404, lambda: browser.close_tab("99"))
refused("an address that is none", 400, lambda: browser.open_tab("nowhere"))

# ── The rest ───────────────────────────────────────────────────────────────────────────────────────────────────────
check("proxy.set", lambda: box.proxy.set(host="127.0.0.1", port=8080, auth={"username": "a", "password": "b"}),
      lambda proxy: proxy.port == 8080 and "localhost" in proxy.excludes)
check("proxy.get", box.proxy.get, lambda proxy: proxy.host == "127.0.0.1" and proxy.auth.username == "a")
check("the settings have it", lambda: shell("settings get global http_proxy"), lambda text: text == "127.0.0.1:8080\n")
check("proxy.clear", box.proxy.clear)
check("proxy.get of none", box.proxy.get, lambda proxy: proxy.host == "")
refused("a wrong port", 400, lambda: box.proxy.set(host="a", port=0))
check("live_view", lambda: box.live_view(expires_in="1m"),
      lambda view: fetch(view.url)[0] == "text/html" and size(fetch(view.raw_url)[1]) == SIZE)
check("web_terminal", lambda: box.web_terminal(expires_in="1m"), lambda view: fetch(view.url)[0] == "text/html")
devices = check("devices.list", lambda: v1.devices.list(x_device_ap="any", page=1, page_size=5),
                lambda list: len(list.data) == 5 and not list.data[0].is_idle and list.total > 5)
check("devices.get", lambda: v1.devices.get("sim-3"), lambda device: device.is_idle)
third = check("devices.to_box", lambda: v1.devices.to_box("sim-3"), lambda id: sdk.get(id).data.status == "running")
refused("a device that is taken", 423, lambda: v1.devices.to_box("sim-3"))
fourth = check("devices.to_box by force", lambda: v1.devices.to_box("sim-3", force=True), lambda id: id != third)
check("what was on it has ended", lambda: sdk.get_info(third), lambda info: info.status == "terminated")
refused("a device that is not there", 404, lambda: v1.devices.get("sim-none"))


def debug(address):
    """Connects as adb does, and runs a command."""

    def message(command, first, second, data):
        word = int.from_bytes(command, "little")
        return struct.pack("<6I", word, first, second, len(data), sum(data), word ^ 0xFFFFFFFF) + data

    host, port = address.adb.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(message(b"CNXN", 0x01000000, 4096, b"host::features=shell_v2\0"))
        reader = wire.makefile("rb")

        def answer():
            head = struct.unpack("<6I", reader.read(24))
            return head[0].to_bytes(4, "little"), reader.read(head[3])

        kind, banner = answer()
        assert kind == b"CNXN" and banner.startswith(b"device::"), banner
        wire.sendall(message(b"OPEN", 7, 0, b"shell,v2,raw:getprop ro.build.version.release\0"))
        assert answer()[0] == b"OKAY"
        kind, data = answer()
        return kind == b"WRTE" and data == b"\x01\x03\0\0\0" + VERSION.encode() + b"\n\x03\x01\0\0\0\0"


check("get_connect_address", box.get_connect_address, debug)

# ── The end ────────────────────────────────────────────────────────────────────────────────────────────────────────
check("sdk.terminate", lambda: sdk.terminate(fourth, wait=True))
check("a second box ends", second.terminate, lambda box: box.data.status == "terminated")
check("box.terminate", lambda: box.terminate(wait=True), lambda box: box.data.status == "terminated" and box.data.reason)
check("ending it twice", box.terminate)
check("it can still be read", lambda: sdk.get(box_id), lambda got: got.data.status == "terminated")
refused("an action on it", 400, lambda: action.tap(x=1, y=1))
print(f"PASSED all {len(methods)} methods were called") if methods <= called else None
for forgotten in sorted(methods - called):
    failed += 1
    print(f"FAILED {forgotten}: it was not called here")
sys.exit(1 if failed else 0)
