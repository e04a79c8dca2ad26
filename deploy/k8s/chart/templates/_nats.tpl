{{/* nats-server's configuration: what shared/bus/server_config.py says, for pods. (dict "root" . "domain" "…") */}}
{{- define "headgate.nats.conf" }}
server_name: $POD_NAME
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
max_payload: 8388608
max_pending: 134217728
write_deadline: "10s"
ping_interval: "20s"
jetstream {
  store_dir: "/data"
  max_file_store: {{ .root.Values.nats.maxFileStore }}
}
tls {
  ca_file: "/certs/ca.crt"
  cert_file: "/certs/tls.crt"
  key_file: "/certs/tls.key"
  verify_and_map: true
}
{{- if gt (int .root.Values.nats.replicas) 1 }}
cluster {
  name: headgate
  listen: "0.0.0.0:6222"
  routes: [
    {{- range $i := until (int .root.Values.nats.replicas) }}
    "nats://headgate-nats-{{ $i }}.{{ $.domain }}:6222"
    {{- end }}
  ]
  tls {
    ca_file: "/certs/ca.crt"
    cert_file: "/certs/tls.crt"
    key_file: "/certs/tls.key"
    verify: true
  }
}
{{- end }}
include "./users.conf"
{{- end }}
